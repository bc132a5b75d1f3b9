import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SessionFile } from '../../../src/sessions/csv/file.ts'
import { realFiles, type FileOperations } from '../../../src/sessions/csv/files.ts'
import { syncFolder, writeNewFile } from '../../../src/sessions/csv/rewrite.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { makeFailingFiles, type FailingFiles } from '../../fixtures/failing-files.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeClock, makeLog, makeSession, type KeptLog } from '../../fixtures/sessions.ts'

/** A pause that no test lives to see the end of. */
const NEVER_MS = 1_000_000_000

interface Setting {
  store: CsvSessionStore
  failing: FailingFiles
  path: string
  folder: string
  log: KeptLog
  reopen: () => Promise<CsvSessionStore>
}

async function setUp (t: Test, { code = 'EIO', retryMs = NEVER_MS, fsync = 'always' as 'always' | 'never', mode = 0o600 } = {}): Promise<Setting> {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  writeFileSync(path, '')
  chmodSync(path, mode)
  const failing = makeFailingFiles(realFiles, code)
  const log = makeLog()
  const make = (files: FileOperations): CsvSessionStore =>
    new CsvSessionStore({ path, timeoutMs: 60_000, fsync, now: makeClock().now, files, retryMs, log })
  const store = make(failing.files)
  t.after(() => { failing.reset(); return store.close() })
  await store.open()
  await store.create(makeSession())
  failing.reset()
  const reopen = async (): Promise<CsvSessionStore> => {
    failing.reset()
    await store.close()
    const next = make(realFiles)
    t.after(() => next.close())
    await next.open()
    return next
  }
  return { store, failing, path, folder, log, reopen }
}

const addTwo = async (store: CsvSessionStore): Promise<string[]> => {
  const outcomes = await Promise.allSettled(['s-2', 's-3'].map((sessionId) => store.create(makeSession({ sessionId }))))
  return outcomes.map((outcome) => outcome.status === 'fulfilled' ? 'saved' : String(outcome.reason.code))
}

t.test('whichever file operation of a change fails, the file stays whole, its callers are told, and the next change recovers', async (t) => {
  const probe = await setUp(t, { mode: 0o640 })
  await addTwo(probe.store)
  const operations = [...probe.failing.calls]
  t.same(operations, ['stat', 'create', 'write', 'fstat', 'chmod', 'sync', 'close', 'stat', 'rename', 'open', 'sync', 'close', 'stat'])
  for (const [index, operation] of operations.entries()) {
    await t.test(`operation ${index + 1}, ${operation}`, async (t) => {
      const { store, failing, path, folder, log, reopen } = await setUp(t, { mode: 0o640 })
      const before = readFileSync(path, 'utf8')
      failing.failWhen = (call) => call === index + 1
      t.same(await addTwo(store), ['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'])
      t.match(store.status(), { canSave: false, reason: 'the disk reports an input/output error' })
      t.equal((await store.count()).count, 1, 'reads are served and show nothing that is not saved')
      const isRenamed = index > operations.indexOf('rename')
      if (!isRenamed) t.equal(readFileSync(path, 'utf8'), before)
      t.match(readFileSync(path, 'utf8'), /^session_id,.*\ns-1,.*\n(s-2,.*\ns-3,.*\n)?$/, 'the file is whole')
      t.same(readdirSync(folder).sort(), ['sessions.csv', 'sessions.csv.lock'])
      t.equal(log.lines.filter((line) => line.startsWith('error')).length, 1)

      t.same(await addTwo(store), ['saved', 'saved'])
      t.same(store.status(), { kind: 'csv', canSave: true })
      t.equal(log.lines.at(-1), 'info: Sessions can be saved again')
      t.equal((await (await reopen()).count()).count, 3)
      t.same(readdirSync(folder).sort(), ['sessions.csv', 'sessions.csv.lock'], 'our own file is no conflict')
      t.equal(statSync(path).mode & 0o777, 0o640)
    })
  }
})

t.test('whichever file operation of a failing disk comes last, a restart finds a whole file', async (t) => {
  for (let from = 1; from <= 14; from++) {
    await t.test(`from operation ${from} on`, async (t) => {
      const { store, failing, reopen } = await setUp(t)
      failing.failWhen = (call) => call >= from
      await addTwo(store)
      await addTwo(store)
      const next = await reopen()
      t.ok([1, 3].includes((await next.count()).count))
      t.equal((await next.get('s-1'))?.sessionId, 's-1')
    })
  }
})

t.test('whichever file operation of a start fails, it is refused in one line and a later start finds everything', async (t) => {
  for (let call = 1; ; call++) {
    const folder = makeFolder(t)
    const path = join(folder, 'deep', 'sessions.csv')
    const failing = makeFailingFiles(realFiles)
    const options = { path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, log: makeLog() } as const
    const store = new CsvSessionStore({ ...options, files: failing.files })
    failing.failWhen = (number) => number === call
    const error: unknown = await store.open().then(() => undefined, (reason) => reason)
    if (error === undefined) {
      t.ok(call > 10, `${call - 1} operations`)
      failing.reset()
      await store.close()
      break
    }
    t.match(error, { name: 'ServiceError', code: 'STORE_UNAVAILABLE', message: /^.*sessions\.csv cannot be opened: the disk reports an input\/output error$/ })
    await store.close()
    const next = new CsvSessionStore({ ...options, files: realFiles })
    await next.open()
    await next.close()
  }
})

for (const [code, reason] of [['ENOSPC', 'no space left'], ['EROFS', 'the file system is read-only'], ['EACCES', 'permission denied'], ['EX', 'the disk reports EX']] as const) {
  t.test(`${code} is said as "${reason}", without a path, once`, async (t) => {
    const { store, failing, log } = await setUp(t, { code })
    failing.failWhen = () => true
    await addTwo(store)
    const error: unknown = await store.create(makeSession({ sessionId: 's-9' })).catch((error) => error)
    t.match(error, { code: 'STORE_UNAVAILABLE', statusCode: 503, retryAfterSeconds: 5, cause: { code } })
    t.same(store.status(), { kind: 'csv', canSave: false, reason })
    t.same(log.lines.filter((line) => line.startsWith('error')), [`error: Sessions cannot be saved: ${reason}`])
  })
}

t.test('the store recovers by itself once the disk works again', async (t) => {
  const { store, failing, log, path } = await setUp(t, { retryMs: 1 })
  let attempts = 0
  failing.failWhen = (_, name) => name === 'create' && ++attempts < 4
  t.same(await addTwo(store), ['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'])
  await log.waitFor('Sessions can be saved again')
  t.equal(store.status().canSave, true)
  t.match(readFileSync(path, 'utf8'), /^session_id,.*\ns-1,.*\n$/)
})

t.test('after a failed sync of the folder the acknowledged state is what the file comes back to', async (t) => {
  const { store, failing, log, path } = await setUp(t, { retryMs: 1 })
  failing.failWhen = (call, name) => name === 'sync' && failing.calls.filter((one) => one === 'sync').length === 2 && call > 8
  t.same(await addTwo(store), ['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'])
  failing.failWhen = () => false
  await log.waitFor('Sessions can be saved again')
  t.match(readFileSync(path, 'utf8'), /^session_id,.*\ns-1,.*\n$/)
})

t.test('a rename that happened although it was reported as failed is no change by somebody else', async (t) => {
  const folder = makeFolder(t)
  let isFailing = false
  const files: FileOperations = {
    ...realFiles,
    rename: async (from, to) => {
      await realFiles.rename(from, to)
      if (isFailing) throw Object.assign(new Error('EIO: as told'), { code: 'EIO' })
    }
  }
  const path = join(folder, 'sessions.csv')
  const store = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, files, retryMs: NEVER_MS, log: makeLog() })
  t.after(() => store.close())
  await store.open()
  isFailing = true
  t.same(await addTwo(store), ['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'])
  isFailing = false
  t.same(await addTwo(store), ['saved', 'saved'])
  t.same(readdirSync(folder).sort(), ['sessions.csv', 'sessions.csv.lock'])
})

t.test('a refused change is not in the file after a close, although it was when its folder could not be synced', async (t) => {
  const { store, failing, path, reopen } = await setUp(t)
  failing.failWhen = (call, name) => name === 'sync' && failing.calls.slice(0, call).includes('rename')
  t.same(await addTwo(store), ['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'])
  t.match(readFileSync(path, 'utf8'), /\ns-2,/)
  const next = await reopen()
  t.notMatch(readFileSync(path, 'utf8'), /\ns-2,/)
  t.equal((await next.count()).count, 1)
})

t.test('renames that fail again and again leave two files that can be ours, not more', async (t) => {
  const folder = makeFolder(t)
  const failing = makeFailingFiles(realFiles)
  const options = { files: failing.files, realPath: join(folder, 'sessions.csv'), name: 'sessions.csv', isSynced: false, now: makeClock().now, log: makeLog() }
  const file = new SessionFile(options)
  const replace = (text: string): Promise<unknown> => file.replace(() => [Buffer.from(text)], { overwrites: true })
  await replace('first')
  failing.failWhen = (_, name) => name === 'rename'
  for (const text of ['second', 'third', 'fourth']) await t.rejects(replace(text), { code: 'EIO' })
  t.equal(file.checksums.length, 2)
})

t.test('a start makes the file that it goes on from survive a power cut, and its folder', async (t) => {
  const { failing, reopen, path } = await setUp(t)
  await (await reopen()).close()
  const text = readFileSync(path, 'utf8')
  const store = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, files: failing.files, log: makeLog() })
  t.after(() => store.close())
  await store.open()
  t.same(failing.calls.filter((name) => ['sync', 'rename'].includes(name)), ['sync', 'sync'])
  t.equal(readFileSync(path, 'utf8'), text)
})

t.test('a temporary file that could not be removed does not stop the next change', async (t) => {
  const { store, failing, folder } = await setUp(t)
  failing.failWhen = (_, name) => name === 'sync' || name === 'remove'
  await addTwo(store)
  t.ok(readdirSync(folder).includes('sessions.csv.tmp'))
  failing.reset()
  t.same(await addTwo(store), ['saved', 'saved'])
  t.notOk(readdirSync(folder).includes('sessions.csv.tmp'))
})

t.test('SESSIONS_FSYNC=never syncs nothing', async (t) => {
  const { store, failing } = await setUp(t, { fsync: 'never' })
  t.same(await addTwo(store), ['saved', 'saved'])
  t.notOk(failing.calls.includes('sync'))
})

t.test('short writes are continued, and one that takes nothing is a full disk', async (t) => {
  const folder = makeFolder(t)
  const taking = (bytes: number): FileOperations => ({
    ...realFiles,
    create: async (path) => {
      const file = await realFiles.create(path)
      return { ...file, write: (buffer) => file.write(buffer.subarray(0, bytes)) }
    }
  })
  const chunks = [Buffer.from('hello '), Buffer.from('world')]
  await writeNewFile(taking(2), join(folder, 'a'), chunks, { isSynced: true })
  t.equal(readFileSync(join(folder, 'a'), 'utf8'), 'hello world')
  await t.rejects(writeNewFile(taking(0), join(folder, 'b'), chunks, { isSynced: true }), { code: 'ENOSPC' })
  t.same(readdirSync(folder), ['a'])
})

t.test('a new file never replaces one that exists', async (t) => {
  const folder = makeFolder(t, { a: 'here first' })
  await t.rejects(writeNewFile(realFiles, join(folder, 'a'), [Buffer.from('x')], { isSynced: true }), { code: 'EEXIST' })
  t.equal(readFileSync(join(folder, 'a'), 'utf8'), 'here first')
  await syncFolder(realFiles, folder)
})

t.test('whoever reads the file while it is written reads a whole one', async (t) => {
  const { store, path } = await setUp(t, { fsync: 'never' })
  const progress = { written: 0 }
  const writing = (async () => {
    for (; progress.written < 300; progress.written++) {
      await store.create(makeSession({ sessionId: `w-${progress.written}`, metadata: { text: 'x'.repeat(500) } }))
    }
  })()
  let reads = 0
  let torn = 0
  while (progress.written < 300) {
    const text = readFileSync(path, 'utf8')
    if (!/^session_id,.*\n(.*,.*\}"?\n)+$/.test(text)) torn++
    reads++
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  await writing
  t.ok(reads > 10)
  t.equal(torn, 0)
})
