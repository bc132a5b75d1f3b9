import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { isLocked, lockFile } from '../src/lock.ts'
import { makeFolder } from './fixtures/folder.ts'
import { LOADER } from './fixtures/loader.ts'

const HOLDER = fileURLToPath(new URL('fixtures/lock-holder.ts', import.meta.url))

async function startHolder (t: Test, path: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [LOADER, HOLDER, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => { child.kill('SIGKILL') })
  await waitFor(child, 'locked')
  return child
}

async function waitFor (child: ChildProcess, word: string): Promise<void> {
  if (child.stdout === null) throw new Error('The child has no output')
  const [chunk] = await once(child.stdout, 'data')
  if (!String(chunk).includes(word)) throw new Error(`The child said ${chunk}`)
}

t.test('a second process is refused with one line that names the file', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  await startHolder(t, path)
  t.throws(() => lockFile(path), { name: 'ServiceError', code: 'FILE_LOCKED', message: `${path} is in use by another process` })
})

t.test('after kill -9 the next process takes over at once', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  const child = await startHolder(t, path)
  child.kill('SIGKILL')
  await once(child, 'exit')
  lockFile(path).release()
})

t.test('a lock that was released is free while its process lives on', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  const child = await startHolder(t, path)
  child.stdin?.write('go\n')
  await waitFor(child, 'released')
  lockFile(path).release()
})

t.test('one process does not get a lock twice, and trying does not free it for another one', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  const lock = lockFile(path)
  t.throws(() => lockFile(path), { code: 'FILE_LOCKED' })
  const child = spawn(process.execPath, [LOADER, HOLDER, path], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [code] = await once(child, 'exit')
  t.not(code, 0)
  lock.release()
  lock.release()
  lockFile(path).release()
})

t.test('a lock leaves one empty private file behind, and no journal', async (t) => {
  const folder = makeFolder(t)
  const lock = lockFile(join(folder, 'a.db'))
  t.same(readdirSync(folder), ['a.db.lock'])
  lock.release()
  t.same(readdirSync(folder), ['a.db.lock'])
  t.equal(readFileSync(join(folder, 'a.db.lock')).length, 0)
  t.equal(statSync(join(folder, 'a.db.lock')).mode & 0o777, 0o600)
})

t.test('a lock file that cannot be used is said in one line', async (t) => {
  const folder = makeFolder(t)
  writeFileSync(join(folder, 'a.csv.lock'), 'not a database, but longer than the header of one: '.repeat(20))
  t.throws(() => lockFile(join(folder, 'a.csv')), { code: 'STORE_UNAVAILABLE', message: /a\.csv cannot be locked: .*/ })
  t.throws(() => lockFile(join(folder, 'missing', 'a.csv')), { code: 'STORE_UNAVAILABLE', message: /ENOENT/ })
})

t.test('whether a lock is held can be seen from here and from elsewhere, without making a file and without taking it away', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  t.notOk(isLocked(path))
  t.same(readdirSync(folder), [])
  const lock = lockFile(path)
  t.ok(isLocked(path))
  t.throws(() => lockFile(path), { code: 'FILE_LOCKED' })
  lock.release()
  t.notOk(isLocked(path))
  const holder = await startHolder(t, path)
  t.ok(isLocked(path))
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  t.notOk(isLocked(path))
  lockFile(path).release()
  writeFileSync(join(folder, 'a.csv.lock'), 'not a database, but longer than the header of one: '.repeat(20))
  t.throws(() => isLocked(join(folder, 'a.csv')), { code: 'STORE_UNAVAILABLE', message: /^Nobody can tell whether .*a\.csv is in use: / })
})
