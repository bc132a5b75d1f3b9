import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { realFiles } from '../../../src/sessions/csv/files.ts'
import { formatFile } from '../../../src/sessions/csv/file-text.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import type { StoreStatus } from '../../../src/sessions/store.ts'
import { makeFailingFiles } from '../../fixtures/failing-files.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { writePlainProgram } from '../../fixtures/plain-program.ts'
import { noPowerDisk, PowerDisk } from '../../fixtures/power-disk.ts'
import { Program } from '../../fixtures/program.ts'
import { findTear, Ledger, seeVersion, versionFields, type WriterOrders } from '../../fixtures/session-ledger.ts'
import { makeLog, makeSession } from '../../fixtures/sessions.ts'

const NOBODY = 65534
const PATIENCE_MS = 10_000

t.jobs = 3
const folder = makeFolder(t)
const WRITER = writePlainProgram(folder, 'session-writer.ts')
const SHELL = writePlainProgram(folder, 'store-shell.ts')

const noStrace = checkStrace()

function checkStrace (): string | false {
  const { status, error, stderr } = spawnSync('strace', ['-e', 'inject=fdatasync:error=EIO:when=1', 'true'], { encoding: 'utf8' })
  return status === 0 ? false : `this machine lets nobody fail system calls: ${error?.message ?? stderr.trim()}`
}

type Versions = ReadonlyArray<readonly [string, number]>

/** Writes a session file and returns what is in it. */
function writeSessions (path: string, pool: number): Versions {
  const versions = Array.from({ length: Math.floor(pool * 5 / 6) }, (_, index) => [`s-${index}`, 0] as const)
  const sessions = versions.map(([sessionId, version]) => makeSession({ sessionId, userId: `telegram_${sessionId}`, ...versionFields(version) }))
  writeFileSync(path, Buffer.concat([...formatFile(sessions.map((session) => ({ session })), [])]))
  return versions
}

/** Compares what a restart finds with what was promised. */
async function checkPromises (t: Test, path: string, ledger: string, versions: Versions): Promise<Ledger> {
  t.equal(findTear(readFileSync(path, 'utf8')), undefined, 'the file is whole')
  const store = new CsvSessionStore({ path, timeoutMs: 1e12, fsync: 'always', log: makeLog() })
  t.after(() => store.close())
  await store.open()
  const found = new Ledger(versions, { mayBeRefused: true }).read(readFileSync(ledger, 'utf8'))
  found.see((await store.list({ limit: 10_000 })).sessions.map((session) => [session.sessionId, seeVersion(session)] as const))
  await store.close()
  t.same(found.problems, [], 'what is there is what was acknowledged, or what was asked for after that')
  return found
}

const TABLES = { small: 40, big: 1800 }

for (const [size, call, error, calls] of [
  // The first two are those of the start.
  ['small', 'fsync', 'EIO', [3, 4, 5]],
  ['small', 'rename', 'EIO', [2]],
  ['small', 'write', 'ENOSPC', [2]],
  ['big', 'fdatasync', 'EIO', [1, 2, 5]],
  ['big', 'fsync', 'EIO', [3, 4, 5, 6, 7]],
  ['big', 'rename', 'EIO', [1, 2, 3, 4]],
  ['big', 'write', 'ENOSPC', [1, 2, 20]]
] as const) {
  for (const when of calls) {
    t.test(`${error} from ${call} number ${when}, a ${size} table: nothing acknowledged is lost, and it is got over`, { skip: noStrace }, async (t) => {
      const folder = makeFolder(t)
      const path = join(folder, 'sessions.csv')
      const ledger = join(folder, 'ledger')
      const pool = TABLES[size]
      const versions = writeSessions(path, pool)
      const paths = ['', '.tmp', '.journal', '.journal.tmp', '.journal.old'].map((end) => `${path}${end}`)
      const trace = ['strace', '-f', '-qq', '-o', join(folder, 'trace'), '-e', `trace=${call}`, '-e', `inject=${call}:error=${error}:when=${when}`]
      const only = [...paths, folder].flatMap((one) => ['-P', one])
      // Calls are counted for each thread.
      const writer = new Program(t, [...trace, ...only, process.execPath, WRITER], { env: { UV_THREADPOOL_SIZE: '1' } })
      t.equal(await writer.hear(), 'ready')
      const orders: WriterOrders = { path, ledger, pool, writers: 4, restMs: 0, mayBeRefused: true, dieFrom: 'open', dieAtStep: 0, endAtStep: 40 }
      writer.say(JSON.stringify(orders))
      t.equal(await writer.hear(), 'open')
      t.match(await writer.exit, { code: 0, signal: null, stderr: '' }, 'it saves again, and closes as it should')
      t.match(readFileSync(join(folder, 'trace'), 'utf8'), /INJECTED/, 'a call failed')
      const { saved, refused } = await checkPromises(t, path, ledger, versions)
      t.ok(saved > 0)
      t.comment(`${saved} changes were acknowledged, ${refused} refused`)
      t.same(readdirSync(folder).sort(), ['ledger', 'sessions.csv', 'sessions.csv.lock', 'trace'])
    })
  }
}

interface Following { readonly operations: readonly string[], readonly isFollowed: boolean, readonly status: StoreStatus }

/** Changes a session of a big table, and waits until the file has followed or patience ends. Resolves to the names of all file operations. */
async function changeAndFollow (folder: string, failed: number): Promise<Following> {
  mkdirSync(folder)
  const path = join(folder, 'sessions.csv')
  writeSessions(path, TABLES.big)
  const failing = makeFailingFiles(realFiles)
  const store = new CsvSessionStore({ path, timeoutMs: 1e12, fsync: 'always', files: failing.files, retryMs: 20, log: makeLog() })
  await store.open()
  failing.reset()
  failing.failWhen = (call) => call === failed
  const isSaved = await store.create(makeSession({ sessionId: 'fresh' })).then(() => true, () => false)
  const isFollowing = (): boolean =>
    store.status().canSave && store.status().reason === undefined && !existsSync(`${path}.journal.old`) &&
    (!isSaved || /^fresh,/m.test(readFileSync(path, 'utf8')))
  for (const since = performance.now(); !isFollowing() && performance.now() - since < PATIENCE_MS;) await pause(10)
  const outcome = { operations: [...failing.calls], isFollowed: isFollowing(), status: store.status() }
  await store.close()
  return outcome
}

t.test('whichever operation fails once, of a change or of the rewrite that follows, the store gets over it with no further change', async (t) => {
  const folder = makeFolder(t)
  const { operations } = await changeAndFollow(join(folder, '0'), 0)
  t.match(operations.join(' '), /syncData .*rename .*create .*write .*syncData .*rename .*remove/)
  const outcomes = await Promise.all(operations.map((_, index) => changeAndFollow(join(folder, String(index + 1)), index + 1)))
  for (const [index, { isFollowed, status }] of outcomes.entries()) t.ok(isFollowed, `operation ${index + 1}, ${operations[index]}`, { status })
})

/**
 * Takes back what a ledger says was acknowledged behind its first bytes, while the power was being cut: a sync on which the kernel's shutdown of
 * the file system falls may report success for bytes that are lost, to any program.
 */
function doubtSaved (ledger: string, sureBytes: number): void {
  const bytes = readFileSync(ledger)
  writeFileSync(ledger, bytes.toString('utf8', 0, sureBytes) + bytes.toString('utf8', sureBytes).replace(/^\["saved",.*$/gm, ''))
}

for (const [size, pool] of Object.entries(TABLES)) {
  t.test(`a power cut under load, a ${size} table: nothing acknowledged is lost`, { skip: noPowerDisk }, async (t) => {
    const folder = makeFolder(t)
    const disk = PowerDisk.mount(t, folder)
    const path = join(disk.dir, 'sessions.csv')
    const ledger = join(folder, 'ledger')
    const versions = writeSessions(path, pool)
    spawnSync('sync', ['--file-system', disk.dir])
    for (let round = 0; round < 6; round++) {
      const writer = new Program(t, [process.execPath, WRITER])
      t.equal(await writer.hear(), 'ready')
      // Under load the next change makes the one before it durable; with a rest between them each has only itself.
      const load = round % 2 === 0 ? { writers: 8, restMs: 0 } : { writers: 1, restMs: 20 }
      writer.say(JSON.stringify({ path, ledger, pool, ...load, mayBeRefused: true, dieFrom: 'open', dieAtStep: 0, endAtStep: 0 } satisfies WriterOrders))
      t.equal(await writer.hear(), 'open')
      await pause(Math.random() * 700)
      const sureBytes = statSync(ledger).size
      disk.cutPower()
      writer.kill()
      await writer.exit
      disk.comeBack()
      doubtSaved(ledger, sureBytes)
    }
    const { saved } = await checkPromises(t, path, ledger, versions)
    t.comment(`${saved} changes acknowledged`)
    t.same(readdirSync(disk.dir).filter((name) => name.startsWith('sessions_')), [], 'nothing is set aside')
  })
}

async function waitUntilSaving (shell: Program): Promise<void> {
  for (;;) {
    const answer = await shell.ask('status')
    if (JSON.stringify(answer) === '{"value":{"kind":"csv","canSave":true}}') return
    await pause(5)
  }
}

t.test('a process without a file handle to spare refuses changes, says why, and gets over it', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  const shell = new Program(t, ['sh', '-c', 'ulimit -n 256; exec "$0" "$@"', process.execPath, SHELL, path])
  t.match(await shell.ask('open'), { value: { loaded: 0 } })
  t.same(await shell.ask('create s-1'), {})
  await shell.ask('hoard')
  t.match(await shell.ask('create s-2'), { code: 'STORE_UNAVAILABLE' })
  t.same(await shell.ask('status'), { value: { kind: 'csv', canSave: false, reason: 'too many open files' } })
  t.same(await shell.ask('get s-1'), { value: 's-1' }, 'reads are served')
  await shell.ask('release')
  await waitUntilSaving(shell)
  t.same(await shell.ask('create s-3'), {})
  t.same(await shell.ask('close'), {})
  t.same(readFileSync(path, 'utf8').match(/^s-\d/gm), ['s-1', 's-3'])
})

t.test('as a user without rights', { skip: process.getuid?.() === 0 ? false : 'only root can start a process as somebody else' }, async (t) => {
  const start = (t: Test, path: string): Program => new Program(t, [process.execPath, SHELL, path], { uid: NOBODY, gid: NOBODY })
  const setUp = (t: Test): { folder: string, path: string } => {
    const folder = join(makeFolder(t), 'own')
    mkdirSync(folder)
    chownSync(folder, NOBODY, NOBODY)
    return { folder, path: join(folder, 'sessions.csv') }
  }

  await t.test('a folder that loses its rights refuses changes until it has them again', async (t) => {
    const { folder, path } = setUp(t)
    const shell = start(t, path)
    t.match(await shell.ask('open'), { value: { loaded: 0 } })
    chmodSync(folder, 0o555)
    t.match(await shell.ask('create s-1'), { code: 'STORE_UNAVAILABLE' })
    t.same(await shell.ask('status'), { value: { kind: 'csv', canSave: false, reason: 'permission denied' } })
    chmodSync(folder, 0o755)
    await waitUntilSaving(shell)
    t.same(await shell.ask('create s-2'), {})
    t.same(await shell.ask('close'), {})
  })

  await t.test('a file that cannot be read refuses the start with one line and stays as it is', async (t) => {
    const { path } = setUp(t)
    writeFileSync(path, 'session_id,user_id,last_activity\n', { mode: 0o000 })
    chownSync(path, NOBODY, NOBODY)
    t.match(await start(t, path).ask('open'), { code: 'STORE_UNAVAILABLE', message: /^[^\n]*sessions\.csv cannot be opened: permission denied$/ })
    t.equal(readFileSync(path, 'utf8'), 'session_id,user_id,last_activity\n')
  })

  await t.test('a folder in which nothing may be written refuses the start with one line', async (t) => {
    const { folder, path } = setUp(t)
    chmodSync(folder, 0o555)
    t.match(await start(t, path).ask('open'), { code: 'STORE_UNAVAILABLE', message: /^[^\n]*sessions\.csv cannot be [^\n]*$/ })
    t.notOk(existsSync(path))
  })
})

t.test('a folder in place of the file refuses the start with one line', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  mkdirSync(path)
  const store = new CsvSessionStore({ path, timeoutMs: 1000, fsync: 'always', log: makeLog() })
  await t.rejects(store.open(), { code: 'FILE_INVALID', message: /^[^\n]*sessions\.csv is a folder; name a file in it$/ })
})
