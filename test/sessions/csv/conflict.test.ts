import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { realFiles, type FileOperations } from '../../../src/sessions/csv/files.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { makeFailingFiles, type FailingFiles } from '../../fixtures/failing-files.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeClock, makeLog, makeSession, type KeptLog } from '../../fixtures/sessions.ts'

interface Setting {
  store: CsvSessionStore
  path: string
  backup: string
  log: KeptLog
  failing: FailingFiles
  /** What the conflict files hold. */
  conflicts: () => string[]
  open: () => Promise<CsvSessionStore>
}

/** A store with the session `now` in it, beside a backup that holds the session `then`. */
async function setUp (t: Test, retryMs = 1_000_000): Promise<Setting> {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  const backup = join(folder, 'backup.csv')
  const log = makeLog()
  const failing = makeFailingFiles(realFiles)
  const open = async (): Promise<CsvSessionStore> => {
    const store = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, log, files: failing.files, retryMs })
    t.after(() => store.close())
    await store.open()
    return store
  }
  const store = await open()
  await store.create(makeSession({ sessionId: 'then' }))
  copyFileSync(path, backup)
  await store.delete('then')
  await store.create(makeSession({ sessionId: 'now' }))
  const conflicts = (): string[] =>
    readdirSync(folder).filter((name) => name.startsWith('sessions_conflict_')).sort().map((name) => readFileSync(join(folder, name), 'utf8'))
  return { store, path, backup, log, failing, conflicts, open }
}

const ids = async (store: CsvSessionStore): Promise<string[]> => (await store.list({ limit: 9 })).sessions.map(({ sessionId }) => sessionId)

for (const [way, restore] of Object.entries({
  'copied over': copyFileSync,
  'moved over': renameSync
})) {
  t.test(`a backup ${way} the file while the server runs is what the next start loads`, async (t) => {
    const { store, path, backup, log, conflicts, open } = await setUp(t)
    const ours = readFileSync(path, 'utf8')
    restore(backup, path)
    const theirs = readFileSync(path, 'utf8')
    await store.close()
    t.equal(readFileSync(path, 'utf8'), theirs, 'close does not overwrite')
    t.same(conflicts(), [ours], 'what the run held is kept')
    t.match(log.lines.at(-1), /^warn: .* was changed by somebody else and stays so; .* sessions_conflict_20251122T201500123Z\.csv$/)
    t.same(await ids(await open()), ['then'])
  })
}

t.test('a file removed while the server runs stays removed, and the next start is empty', async (t) => {
  const { store, path, log, conflicts, open } = await setUp(t)
  const ours = readFileSync(path, 'utf8')
  rmSync(path)
  await store.close()
  t.equal(existsSync(path), false)
  t.same(conflicts(), [ours])
  t.match(log.lines.at(-1), /^warn: .* was removed by somebody else/)
  t.same(await ids(await open()), [])
})

t.test('a later change overwrites what others wrote, after keeping it', async (t) => {
  const { store, path, backup, log, conflicts } = await setUp(t)
  const theirs = readFileSync(backup, 'utf8')
  copyFileSync(backup, path)
  await store.create(makeSession({ sessionId: 'later' }))
  t.same(conflicts(), [theirs])
  t.match(readFileSync(path, 'utf8'), /\nnow,.*\nlater,.*\n$/)
  t.match(log.lines.at(-1), /^warn: .* was changed by somebody else; it is replaced/)
  await store.create(makeSession({ sessionId: 'last' }))
  await store.close()
  t.equal(conflicts().length, 1, 'kept once')
})

t.test('a later change writes a removed file again, with a warning', async (t) => {
  const { store, path, log, conflicts } = await setUp(t)
  rmSync(path)
  await store.create(makeSession({ sessionId: 'later' }))
  t.match(readFileSync(path, 'utf8'), /\nnow,.*\nlater,.*\n$/)
  t.match(log.lines.at(-1), /^warn: .* was removed by somebody else; it is written again/)
  t.same(conflicts(), [])
})

t.test('whichever file operation fails, what others wrote is in the file or kept, and kept once', async (t) => {
  let wasReached = true
  for (let failed = 1; wasReached; failed++) {
    await t.test(`operation ${failed}`, async (t) => {
      const { store, path, backup, failing, conflicts } = await setUp(t)
      const theirs = readFileSync(backup, 'utf8')
      copyFileSync(backup, path)
      failing.reset()
      failing.failWhen = (call) => call === failed
      await store.create(makeSession({ sessionId: 'later' })).catch(() => {})
      t.ok([readFileSync(path, 'utf8'), ...conflicts()].includes(theirs))
      wasReached = failing.calls.length >= failed
      failing.reset()
      await store.create(makeSession({ sessionId: 'last' }))
      t.ok(conflicts().every((text) => text === theirs) && conflicts().length >= 1 && conflicts().length <= 2)
      t.match(readFileSync(path, 'utf8'), /\nnow,.*\n(later,.*\n)?last,.*\n$/)
    })
    t.ok(failed < 50)
  }
})

t.test('equal bytes are no change, whoever wrote them and when', async (t) => {
  const { store, path, log, conflicts } = await setUp(t)
  const warnings = log.lines.length
  writeFileSync(path, readFileSync(path))
  utimesSync(path, 1, 1)
  await store.create(makeSession({ sessionId: 'later' }))
  writeFileSync(`${path}.copy`, readFileSync(path))
  renameSync(`${path}.copy`, path)
  await store.close()
  t.same(conflicts(), [])
  t.equal(log.lines.length, warnings)
})

t.test('a change of the same length is found', async (t) => {
  const { store, path, conflicts } = await setUp(t)
  writeFileSync(path, readFileSync(path, 'utf8').replace('now,', 'new,'))
  await store.close()
  t.equal(conflicts().length, 1)
})

t.test('a close after which nothing changed writes nothing', async (t) => {
  const { store, path, failing } = await setUp(t)
  const before = statSync(path, { bigint: true })
  failing.reset()
  await store.close()
  t.same(failing.calls, ['stat'])
  t.same(statSync(path, { bigint: true }), before)
})

t.test('an attempt to recover leaves alone what others wrote meanwhile', async (t) => {
  const { store, path, backup, failing, log, conflicts } = await setUp(t, 1)
  const theirs = readFileSync(backup, 'utf8')
  failing.failWhen = (_, name) => name === 'create'
  await t.rejects(store.create(makeSession({ sessionId: 'refused' })), { code: 'STORE_UNAVAILABLE' })
  copyFileSync(backup, path)
  failing.failWhen = () => false
  await log.waitFor('Sessions can be saved again')
  t.equal(readFileSync(path, 'utf8'), theirs)
  t.same(conflicts(), [])
})

t.test('what others write while the folder is being synced is kept before the next change replaces it', async (t) => {
  const { store, path, backup, failing, conflicts } = await setUp(t)
  let isRenamed = false
  failing.failWhen = (_call, name) => {
    if (isRenamed && name === 'sync') copyFileSync(backup, path)
    isRenamed = name === 'rename' || (isRenamed && name !== 'sync')
    return false
  }
  await store.create(makeSession({ sessionId: 'more' }))
  failing.reset()
  await store.create(makeSession({ sessionId: 'last' }))
  t.equal(conflicts().length, 1)
  t.match(conflicts()[0], /^then,/m)
  t.same((await ids(store)).sort(), ['last', 'more', 'now'])
})

/** File operations that do something first whenever one of this name is called, as often as told. */
function doBefore (operation: 'read' | 'create', act: () => void, times: number): FileOperations {
  let left = times
  const before = (): void => { if (left-- > 0) act() }
  return {
    ...realFiles,
    create: async (path) => {
      if (operation === 'create' && path.endsWith('sessions.csv.tmp')) before()
      return await realFiles.create(path)
    },
    open: async (path) => {
      const file = await realFiles.open(path)
      if (operation !== 'read' || !path.endsWith('sessions.csv')) return file
      return { ...file, read: async (buffer) => { before(); return await file.read(buffer) } }
    }
  }
}

for (const times of [1, 1000]) {
  t.test(`a file that is replaced while it is loaded, ${times === 1 ? 'is loaded as it is then' : 'again and again, stops the start'}`, async (t) => {
    const { store, path, backup, conflicts } = await setUp(t)
    await store.close()
    const theirs = readFileSync(backup, 'utf8')
    const files = doBefore('read', () => { writeFileSync(path, theirs) }, times)
    const next = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, log: makeLog(), files })
    t.after(() => next.close())
    if (times === 1) {
      await next.open()
      t.same(await ids(next), ['then'])
    } else {
      await t.rejects(next.open(), { code: 'STORE_UNAVAILABLE', message: 'sessions.csv is being written to by another program' })
    }
    t.same(conflicts(), [])
  })
}

t.test('a file that is replaced after it was loaded, before it is brought into our form, stops the start and stays', async (t) => {
  const { store, path, backup, conflicts, open } = await setUp(t)
  await store.close()
  const theirs = readFileSync(backup, 'utf8')
  writeFileSync(path, `${readFileSync(path, 'utf8')}\n`)
  const files = doBefore('create', () => { writeFileSync(path, theirs) }, 1)
  const next = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, log: makeLog(), files })
  await t.rejects(next.open(), { code: 'STORE_UNAVAILABLE', message: /was changed by another program while it was loaded; start again$/ })
  t.equal(readFileSync(path, 'utf8'), theirs)
  t.same(conflicts(), [])
  t.same(await ids(await open()), ['then'])
})

t.test('while somebody writes the file faster than it can be kept, changes are refused and nothing is lost', async (t) => {
  const { store, path, conflicts } = await setUp(t)
  await store.close()
  let count = 0
  let isBusy = false
  // The folder is opened when what was there has been kept.
  const files: FileOperations = {
    ...realFiles,
    open: async (name) => {
      if (isBusy && name === dirname(path)) writeFileSync(path, `theirs ${++count}\n`)
      return await realFiles.open(name)
    }
  }
  const busy = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, log: makeLog(), files, retryMs: 1_000_000 })
  t.after(() => { isBusy = false; return busy.close() })
  await busy.open()
  writeFileSync(path, 'theirs 0\n')
  isBusy = true
  await t.rejects(busy.create(makeSession({ sessionId: 'refused' })), { code: 'STORE_UNAVAILABLE' })
  const kept = conflicts()
  isBusy = false
  t.match(busy.status(), { canSave: false, reason: 'the file is busy' })
  await busy.create(makeSession({ sessionId: 'saved' }))
  t.same(conflicts(), [...kept, `theirs ${count}\n`], 'what is replaced is kept')
  t.ok(count > 1)
})
