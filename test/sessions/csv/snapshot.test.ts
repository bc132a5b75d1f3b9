import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as letOthersWork, setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { realFiles, type FileOperations } from '../../../src/sessions/csv/files.ts'
import { formatHeader, formatRecord } from '../../../src/sessions/csv/journal-text.ts'
import type { LoadOptions } from '../../../src/sessions/csv/load.ts'
import { readSnapshot } from '../../../src/sessions/csv/snapshot.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeClock, makeLog, makeSession, START_MS } from '../../fixtures/sessions.ts'

const HEADER = 'session_id,user_id,platform,thread_id,created_at,last_activity,pending_approval,metadata\n'
const TIME = '2025-11-22T20:15:00.123Z'

function makeLoad (path: string): LoadOptions {
  return { path, timeoutMs: 60_000, nowMs: START_MS, newId: () => 'new', log: makeLog() }
}

async function openStore (t: Test, path: string): Promise<CsvSessionStore> {
  const store = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'never', now: makeClock().now, log: makeLog() })
  t.after(() => store.close())
  await store.open()
  return store
}

/** Somebody else's process, whose every look at a name comes between any two steps of ours. */
const foreignFiles: FileOperations = {
  ...realFiles,
  open: async (path) => {
    await letOthersWork()
    return await realFiles.open(path)
  },
  lstat: async (path) => {
    await letOthersWork()
    return await realFiles.lstat(path)
  }
}

/** The version of each session, by id. */
async function readVersions (path: string, files: FileOperations = foreignFiles): Promise<Map<string, number>> {
  const { rows } = await readSnapshot(files, path, makeLoad(path))
  return new Map(rows.found.map(({ session }) => [session.sessionId, Number(session.metadata.version)]))
}

/** What was asked for, and what was acknowledged, of each session: its versions count up; -1 is a removal. */
class Ledger {
  readonly asked = new Map<string, number>()
  readonly acknowledged = new Map<string, number>()

  async change (store: CsvSessionStore, sessionId: string, version: number): Promise<void> {
    this.asked.set(sessionId, version)
    if (version === 1) await store.create(makeSession({ sessionId, metadata: { version } }))
    else await store.update(sessionId, (session) => ({ ...session, metadata: { version } }))
    this.acknowledged.set(sessionId, version)
  }
}

async function hammer (store: CsvSessionStore, ledger: Ledger, ids: readonly string[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const id of ids) {
      if (signal.aborted) return
      await ledger.change(store, id, (ledger.asked.get(id) ?? 0) + 1)
    }
  }
}

for (const { size, snapshots } of [{ size: 2000, snapshots: 25 }, { size: 50, snapshots: 100 }]) {
  t.test(`a snapshot of ${size} sessions under heavy writing has all that was acknowledged before it, and nothing that was not asked for`, async (t) => {
    const path = join(makeFolder(t), 'sessions.csv')
    const store = await openStore(t, path)
    const ledger = new Ledger()
    const ids = Array.from({ length: size }, (_, index) => `s-${index}`)
    await Promise.all(ids.map(async (id) => { await ledger.change(store, id, 1) }))
    const stop = new AbortController()
    const writers = Array.from({ length: 10 }, async (_, writer) => {
      await hammer(store, ledger, ids.filter((_, index) => index % 10 === writer), stop.signal)
    })
    const places = new Set<string>()
    const watch = setInterval(() => { places.add(readdirSync(join(path, '..')).filter((name) => !/lock|tmp/.test(name)).sort().join(' ')) }, 5)
    let changed = 0
    for (let round = 0; round < snapshots; round++) {
      const before = new Map(ledger.acknowledged)
      const versions = await readVersions(path)
      const lost = ids.filter((id) => (versions.get(id) ?? 0) < (before.get(id) ?? 0))
      const invented = [...versions].filter(([id, version]) => version > (ledger.asked.get(id) ?? 0))
      if (lost.length + invented.length > 0 || versions.size !== size) t.same({ lost, invented, size: versions.size }, { lost: [], invented: [], size }, `round ${round}`)
      if ([...versions].some(([id, version]) => version > (before.get(id) ?? 0))) changed++
      await delay(round % 7)
    }
    clearInterval(watch)
    stop.abort()
    await Promise.all(writers)
    t.ok(changed > 0, 'there was writing meanwhile')
    t.comment(`${[...ledger.acknowledged.values()].reduce((sum, version) => sum + version, 0)} changes; seen on the disk: ${[...places].join(' | ')}`)
    await store.close()
    t.same(await readVersions(path), ledger.acknowledged)
  })
}

t.test('a session that comes and goes at the bound between both regimes is never missed', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  const store = await openStore(t, path)
  await Promise.all(Array.from({ length: 1000 }, async (_, index) => { await store.create(makeSession({ sessionId: `s-${index}`, metadata: { version: 1 } })) }))
  const stop = new AbortController()
  let acknowledged = 1
  // Above a thousand a journal begins, at a thousand it ends.
  const flapping = (async () => {
    for (let version = 2; !stop.signal.aborted; version++) {
      await store.create(makeSession({ sessionId: `x-${version}` }))
      await store.update('s-0', (session) => ({ ...session, metadata: { version } }))
      acknowledged = version
      await store.delete(`x-${version}`)
    }
  })()
  for (let round = 0; round < 50; round++) {
    const before = acknowledged
    const versions = await readVersions(path)
    if ((versions.get('s-0') ?? 0) < before) t.fail(`round ${round}: ${versions.get('s-0')} instead of ${before}`)
  }
  stop.abort()
  await flapping
  t.ok(acknowledged > 10, `${acknowledged} times`)
})

// --- one step of a rewrite between each two looks

/** Calls back before each operation. */
function interrupt (before: (operation: number, kind: string) => void): FileOperations {
  let operations = 0
  const step = (kind: string): void => { before(operations++, kind) }
  return {
    ...realFiles,
    lstat: async (path) => { step('lstat'); return await realFiles.lstat(path) },
    open: async (path) => {
      step('open')
      const file = await realFiles.open(path)
      return { ...file, read: async (buffer) => { step('read'); return await file.read(buffer) }, stat: async () => { step('stat'); return await file.stat() } }
    }
  }
}

function row (id: string, version: number): string {
  return `${id},telegram_1,telegram,t-${id},${TIME},${TIME},,"{""version"":${version}}"`
}

/**
 * The life of a small file with a journal, in the steps in which a store lives it. Each step returns the version that was acknowledged by then.
 */
function makeLife (path: string): Array<() => number> {
  const journal = `${path}.journal`
  const [first, second] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'] as const
  let text = `${HEADER}${row('a', 1)}\n`
  let version = 1
  let checksum = 0
  writeFileSync(path, text)
  const act = (work: () => void) => (): number => {
    work()
    return version
  }
  const append = (...lines: string[]): void => {
    const record = formatRecord(lines, checksum)
    checksum = record.checksum
    writeFileSync(journal, record.bytes, { flag: 'a' })
  }
  const make = (...lines: string[]): void => {
    checksum = 0
    const record = formatRecord(lines, checksum)
    checksum = record.checksum
    writeFileSync(`${journal}.tmp`, record.bytes)
    renameSync(`${journal}.tmp`, journal)
  }
  const name = (): string => `=${createHash('sha256').update(text).digest('hex')}`
  const begin = act(() => { make(formatHeader({ id: first, predecessor: undefined }), name()) })
  const change = act(() => { append(`+${row('a', ++version)}`) })
  const putAside = act(() => { renameSync(journal, `${journal}.old`) })
  const goOn = act(() => { make(formatHeader({ id: second, predecessor: first })) })
  const announce = act(() => {
    text = `${HEADER}${row('a', version)}\n`
    append(name())
  })
  const put = (): void => {
    writeFileSync(`${path}.tmp`, text)
    renameSync(`${path}.tmp`, path)
  }
  const replace = act(put)
  const dropOlder = act(() => { unlinkSync(`${journal}.old`) })
  const drop = act(() => { unlinkSync(journal) })
  const changeFile = act(() => {
    text = `${HEADER}${row('a', ++version)}\n`
    put()
  })
  return [
    begin, change, change, putAside, goOn, change, announce, replace, dropOlder, change, announce, replace, drop, changeFile, changeFile,
    begin, change, putAside, goOn, announce, replace, dropOlder, change
  ]
}

t.test('whatever a store does between any two looks of the reader, what was acknowledged before is read', async (t) => {
  const folder = makeFolder(t)
  let run = 0
  await fc.assert(fc.asyncProperty(fc.nat({ max: 22 }), fc.array(fc.nat({ max: 4 }), { maxLength: 40 }), async (head, pace) => {
    const path = join(folder, `${run++}.csv`)
    const life = makeLife(path)
    let acknowledged = 1
    const live = (steps: number): void => { for (const step of life.splice(0, steps)) acknowledged = step() }
    live(head)
    const before = acknowledged
    const version = (await readVersions(path, interrupt((operation) => { live(pace[operation] ?? 0) }))).get('a') ?? 0
    return version >= before && version <= acknowledged
    // A journal that is put aside between the looks at its two names, and is gone before they are looked at again.
  }), { numRuns: 400, examples: [[2, [1, 1, 2, 0, 4, 3]], [2, [1, 1, 4, 0, 5, 3]]] })
})

t.test('a journal that fits no file is told at once where nobody is writing, and is not applied', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  writeFileSync(path, `${HEADER}${row('a', 1)}\n`)
  const header = formatHeader({ id: '00000000-0000-4000-8000-000000000001', predecessor: undefined })
  const first = formatRecord([header, `=${'0'.repeat(64)}`], 0)
  writeFileSync(`${path}.journal`, Buffer.concat([first.bytes, formatRecord(['-a'], first.checksum).bytes]))
  const { rows, recovery } = await readSnapshot(realFiles, path, makeLoad(path))
  t.equal(rows.found.length, 1)
  t.match(recovery, { strangers: [{ path: `${path}.journal`, reason: 'it continues another file than this one' }], changes: new Map() })
})

t.test('a file that somebody writes to in place is not taken for whole', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  writeFileSync(path, `${HEADER}${row('a', 1)}\n`)
  const writing = interrupt((_, kind) => { if (kind === 'stat') writeFileSync(path, `${row('b', 1)}\n`, { flag: 'a' }) })
  await t.rejects(readSnapshot(writing, path, makeLoad(path)), { code: 'STORE_UNAVAILABLE', message: `${path} is being written to by another program; try again` })
})

t.test('no file is no session, a folder is no file, and a pipe in the place of a journal holds nobody up', async (t) => {
  const folder = makeFolder(t, { 'sessions.csv': `${HEADER}${row('a', 1)}\n` })
  t.match(await readSnapshot(realFiles, join(folder, 'none.csv'), makeLoad('none.csv')), { state: undefined, rows: { found: [] } })
  await t.rejects(readSnapshot(realFiles, folder, makeLoad('folder')), { code: 'FILE_INVALID', message: 'folder is not a regular file' })
  execFileSync('mkfifo', [join(folder, 'sessions.csv.journal')])
  const { recovery } = await readSnapshot(realFiles, join(folder, 'sessions.csv'), makeLoad('sessions.csv'))
  t.match(recovery.strangers, [{ reason: 'it is not a regular file' }])
})

t.test('a snapshot changes nothing and leaves no file open', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  for (const step of makeLife(path).slice(0, 6)) step()
  const look = (): unknown[] => readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8'), statSync(join(folder, name)).mtimeMs])
  const before = look()
  let open = 0
  const counting: FileOperations = {
    ...realFiles,
    open: async (name) => {
      const file = await realFiles.open(name)
      let isOpen = true
      open++
      return {
        ...file,
        close: async () => {
          if (isOpen) open--
          isOpen = false
          await file.close()
        }
      }
    }
  }
  t.same(await readVersions(path, counting), new Map([['a', 4]]))
  t.same(look(), before)
  t.equal(open, 0)
})
