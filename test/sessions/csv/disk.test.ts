import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import type { StoreStatus } from '../../../src/sessions/store.ts'
import { findTear } from '../../fixtures/session-ledger.ts'
import { makeLog, makeSession } from '../../fixtures/sessions.ts'
import { noSmallDisk, SmallDisk } from '../../fixtures/small-disk.ts'

interface Setting {
  readonly disk: SmallDisk
  readonly path: string
  readonly store: CsvSessionStore
  /** What a change comes to. */
  readonly create: (sessionId: string, bytes?: number) => Promise<'saved' | unknown>
  readonly until: (status: Partial<StoreStatus>) => Promise<void>
  /** The ids after a restart, of those that are not there from the beginning. */
  readonly reopen: () => Promise<string[]>
}

/** A store on a disk of its own, with as many sessions. */
async function setUp (t: Test, sessions: number): Promise<Setting> {
  const disk = SmallDisk.mount(t)
  const path = join(disk.dir, 'sessions.csv')
  const open = async (): Promise<CsvSessionStore> => {
    const store = new CsvSessionStore({ path, timeoutMs: 1e12, fsync: 'always', retryMs: 20, log: makeLog() })
    t.after(() => store.close())
    await store.open()
    return store
  }
  const store = await open()
  await Promise.all(Array.from({ length: sessions }, (_, index) => store.create(makeSession({ sessionId: `first-${index}` }))))
  const until: Setting['until'] = async (status) => {
    const isSo = (): boolean => {
      const found = new Map<string, unknown>(Object.entries(store.status()))
      return Object.entries(status).every(([name, value]) => found.get(name) === value)
    }
    while (!isSo()) await pause(2)
  }
  if (sessions > 1000) while (readFileSync(path, 'utf8').split('\n').length < sessions + 2) await pause(2)
  return {
    disk,
    path,
    store,
    until,
    create: (sessionId, bytes = 1) => store.create(makeSession({ sessionId, metadata: { text: 'x'.repeat(bytes) } })).then(() => 'saved', (error) => error.code),
    reopen: async () => {
      await store.close()
      const { sessions } = await (await open()).list({ limit: 100_000 })
      return sessions.map(({ sessionId }) => sessionId).filter((id) => !id.startsWith('first-')).sort()
    }
  }
}

const left = (path: string): string[] => readdirSync(join(path, '..')).filter((name) => name.startsWith('sessions')).sort()

t.test('on a disk of its own', { skip: noSmallDisk }, async (t) => {
  t.test('a full disk refuses a change of a small table, is said, and is got over without a restart', async (t) => {
    const { disk, path, store, create, until, reopen } = await setUp(t, 3)
    const before = readFileSync(path, 'utf8')
    disk.fill()
    t.equal(await create('refused', 100_000), 'STORE_UNAVAILABLE')
    t.same(store.status(), { kind: 'csv', canSave: false, reason: 'no space left' })
    t.equal((await store.get('first-0'))?.sessionId, 'first-0', 'reads are served')
    t.equal(readFileSync(path, 'utf8'), before, 'the old file stays whole')
    t.same(left(path), ['sessions.csv', 'sessions.csv.lock'], 'no half file takes the space')
    disk.free()
    await until({ canSave: true })
    t.equal(await create('saved'), 'saved')
    t.same(await reopen(), ['saved'])
  })

  t.test('a disk that is full in the middle of a record of the journal: the change is refused, those before it are not lost', async (t) => {
    const { disk, path, store, create, until, reopen } = await setUp(t, 1200)
    t.equal(await create('before'), 'saved')
    disk.fill()
    t.equal(await create('refused', 100_000), 'STORE_UNAVAILABLE')
    t.same(store.status(), { kind: 'csv', canSave: false, reason: 'no space left' })
    t.equal((await store.count()).count, 1201, 'reads are served')
    t.equal(findTear(readFileSync(path, 'utf8')), undefined)
    disk.free()
    await until({ canSave: true })
    t.equal(await create('after'), 'saved')
    t.same(await reopen(), ['after', 'before'])
    t.same(left(path), ['sessions.csv', 'sessions.csv.lock'])
  })

  t.test('a record that the disk had no room for leaves no trace: what is acknowledged behind it outlives a kill', async (t) => {
    const { disk, path, create } = await setUp(t, 1200)
    t.equal(await create('before'), 'saved')
    disk.fill()
    t.equal(await create('refused', 100_000), 'STORE_UNAVAILABLE')
    const filler = disk.behind('filler')
    truncateSync(filler, statSync(filler).size - 64 * 1024)
    t.equal(await create('after'), 'saved')
    // What a kill would leave.
    const folder = join(disk.dir, '..', 'killed')
    mkdirSync(folder)
    for (const name of left(path)) copyFileSync(join(disk.dir, name), join(folder, name))
    const next = new CsvSessionStore({ path: join(folder, 'sessions.csv'), timeoutMs: 1e12, fsync: 'always', log: makeLog() })
    t.after(() => next.close())
    await next.open()
    t.ok(await next.get('before'))
    t.ok(await next.get('after'))
    t.notOk(await next.get('refused'))
    disk.free()
  })

  t.test('a disk with room for the journal but not for a new file: changes are accepted, and the status says what does not work', async (t) => {
    const { disk, path, store, create, until, reopen } = await setUp(t, 1200)
    const before = readFileSync(path, 'utf8')
    disk.fill()
    const filler = disk.behind('filler')
    truncateSync(filler, statSync(filler).size - 64 * 1024)
    t.equal(await create('first'), 'saved')
    await until({ canSave: true, reason: 'the session file cannot be rewritten: no space left' })
    const accepted: string[] = []
    for (let index = 0; index < 200; index++) {
      if (await create(`more-${index}`) === 'saved') accepted.push(`more-${index}`)
    }
    t.equal(accepted.length, 200, 'a change is not refused because a rewrite takes the last page for a moment')
    t.equal(readFileSync(path, 'utf8'), before, 'the old file stays whole')
    disk.free()
    while (store.status().reason !== undefined) await pause(2)
    t.same(store.status(), { kind: 'csv', canSave: true })
    t.same(await reopen(), ['first', ...accepted].sort())
  })

  t.test('a file system that turns read-only refuses changes of a small table until it is writable again', async (t) => {
    const { disk, path, store, create, until, reopen } = await setUp(t, 3)
    const before = readFileSync(path, 'utf8')
    const makeWritable = disk.makeReadOnly()
    t.equal(await create('refused'), 'STORE_UNAVAILABLE')
    t.same(store.status(), { kind: 'csv', canSave: false, reason: 'the file system is read-only' })
    t.equal((await store.count()).count, 3, 'reads are served')
    makeWritable()
    await until({ canSave: true })
    t.equal(readFileSync(path, 'utf8'), before)
    t.equal(await create('saved'), 'saved')
    t.same(await reopen(), ['saved'])
  })

  t.test('a file system that turns read-only stops the file of a big table from following, which is said', async (t) => {
    const { disk, path, store, create, reopen } = await setUp(t, 1200)
    t.equal(await create('first'), 'saved')
    const makeWritable = disk.makeReadOnly()
    // What is open stays writable.
    t.equal(await create('second'), 'saved')
    while (store.status().reason === undefined) await pause(2)
    t.same(store.status(), { kind: 'csv', canSave: true, reason: 'the session file cannot be rewritten: the file system is read-only' })
    t.equal(await create('third'), 'saved')
    makeWritable()
    while (store.status().reason !== undefined) await pause(2)
    t.equal(readFileSync(path, 'utf8').split('\n').length, 1205, 'the file follows')
    t.same(await reopen(), ['first', 'second', 'third'])
  })

  for (const [title, spoil, reason] of [
    ['a read-only folder without a file', (disk: SmallDisk) => { disk.makeReadOnly() }, /read-only/],
    ['a full disk without a file', (disk: SmallDisk) => { disk.fill() }, /no space left/]
  ] as const) {
    t.test(`${title} refuses the start with one line`, async (t) => {
      const disk = SmallDisk.mount(t)
      writeFileSync(join(disk.dir, 'sessions.csv.lock'), '')
      spoil(disk)
      const path = join(disk.dir, 'sessions.csv')
      const store = new CsvSessionStore({ path, timeoutMs: 1000, fsync: 'always', log: makeLog() })
      const error: unknown = await store.open().catch((error) => error)
      t.match(error, { code: 'STORE_UNAVAILABLE', message: reason })
      t.match(error, { message: /^[^\n]*sessions\.csv[^\n]*$/ })
      t.same(left(path), ['sessions.csv.lock'])
      disk.free()
    })
  }

  t.test('a full disk does not stop the start from a file that is as it should be', async (t) => {
    const { disk, path, reopen } = await setUp(t, 3)
    disk.fill()
    t.same(await reopen(), [])
    disk.free()
    rmSync(path, { force: true })
  })
})
