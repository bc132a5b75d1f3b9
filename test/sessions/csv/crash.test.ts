import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { formatFile } from '../../../src/sessions/csv/file-text.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { writePlainProgram } from '../../fixtures/plain-program.ts'
import { Program } from '../../fixtures/program.ts'
import { findTear, Ledger, seeVersion, versionFields, type WriterOrders } from '../../fixtures/session-ledger.ts'
import { makeLog, makeSession, type KeptLog } from '../../fixtures/sessions.ts'

/** Rounds that end some milliseconds, or some steps of its recovery, after a writer starts or is open. */
const ENDS = [
  { from: 'start', steps: 10, ms: 4000 },
  { from: 'start', steps: 0, ms: 60 },
  { from: 'open', steps: 0, ms: 300 },
  { from: 'open', steps: 0, ms: 700 },
  { from: 'start', steps: 10, ms: 4000 },
  { from: 'open', steps: 0, ms: 700 }
] as const
const WRITERS = 12
const OWN_NAMES = ['ledger', 'sessions.csv', 'sessions.csv.journal', 'sessions.csv.journal.old', 'sessions.csv.journal.tmp', 'sessions.csv.lock', 'sessions.csv.tmp']

t.jobs = 3
const WRITER = writePlainProgram(makeFolder(t), 'session-writer.ts')

interface Setting {
  readonly folder: string
  readonly path: string
  readonly ledger: string
  /** Sessions that are there before the first writer. */
  readonly versions: ReadonlyArray<readonly [string, number]>
  readonly log: KeptLog
  readonly open: () => Promise<CsvSessionStore>
}

function setUp (t: Test, pool: number): Setting {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  const versions = Array.from({ length: Math.floor(pool * 5 / 6) }, (_, index) => [`s-${index}`, 0] as const)
  writeFileSync(path, formatVersions(versions))
  const log = makeLog()
  const open = async (): Promise<CsvSessionStore> => {
    const store = new CsvSessionStore({ path, timeoutMs: 1e12, fsync: 'always', log })
    t.after(() => store.close())
    await store.open()
    return store
  }
  return { folder, path, ledger: join(folder, 'ledger'), versions, log, open }
}

function formatVersions (versions: Iterable<readonly [string, number]>): Buffer {
  const sessions = [...versions].map(([sessionId, version]) => makeSession({ sessionId, userId: `telegram_${sessionId}`, ...versionFields(version) }))
  return Buffer.concat([...formatFile(sessions.map((session) => ({ session })), [])])
}

const seeAll = async (store: CsvSessionStore): Promise<Array<readonly [string, number]>> =>
  (await store.list({ limit: 10_000 })).sessions.map((session) => [session.sessionId, seeVersion(session)] as const)

/** Reads the file again and again, as `cp` would, until it is told to stop; resolves to what was wrong with it. */
function watch (path: string): { stop: () => Promise<{ reads: number, tears: string[] }> } {
  const stopping = new AbortController()
  const watching = (async () => {
    const tears: string[] = []
    for (let reads = 1; ; reads++) {
      const tear = findTear(await readFile(path, 'utf8'))
      if (tear !== undefined) tears.push(tear)
      if (stopping.signal.aborted) return { reads, tears }
      await pause(15)
    }
  })()
  return { stop: async () => { stopping.abort(); return await watching } }
}

/** Up to which step a writer has begun a journal and written the file once, or has saved a group in the file itself. */
for (const [table, { pool, steps }] of Object.entries({
  'a small table': { pool: 48, steps: 6 },
  'a big table': { pool: 1800, steps: 16 },
  'a table that is small now and big then': { pool: 1200, steps: 12 }
})) {
  t.test(`kill -9 under load, of ${table}: nothing acknowledged is lost, nothing is torn, nothing goes aside`, async (t) => {
    const { folder, path, ledger, versions, log, open } = setUp(t, pool)
    const watcher = watch(path)
    let next = new Program(t, [process.execPath, WRITER])
    for (let round = 1; round <= steps + ENDS.length; round++) {
      const writer = next
      next = new Program(t, [process.execPath, WRITER])
      const { from, steps: last, ms } = ENDS[round - steps - 1] ?? { from: 'open', steps: 0, ms: 4000 }
      const dieAtStep = round <= steps ? round : Math.ceil(Math.random() * last)
      t.equal(await writer.hear(), 'ready')
      order(writer, { path, ledger, pool, dieFrom: from, dieAtStep })
      if (from === 'open') t.equal(await writer.hear(), 'open')
      const limit = setTimeout(() => { writer.kill() }, dieAtStep > 0 ? ms : ms * Math.random())
      const { signal, stderr } = await writer.exit
      clearTimeout(limit)
      t.match({ signal, stderr }, { signal: 'SIGKILL', stderr: '' })
      t.same(readdirSync(folder).filter((name) => !OWN_NAMES.includes(name)), [], 'nothing is set aside')
    }
    const store = await open()
    const found = new Ledger(versions).read(readFileSync(ledger, 'utf8'))
    found.see(await seeAll(store))
    await store.close()
    const { reads, tears } = await watcher.stop()
    t.same(found.problems, [], 'what is there is what was acknowledged, or what was asked for after that')
    t.same(tears, [], 'no reader ever saw half a file')
    t.ok(found.saved > steps && found.starts > steps && reads > steps, 'it was under load')
    t.comment(`${found.saved} changes acknowledged in ${found.starts} starts, ${reads} reads`)
    t.same(readdirSync(folder).sort(), ['ledger', 'sessions.csv', 'sessions.csv.lock'], 'after a close the file is the whole')
    t.equal(findTear(readFileSync(path, 'utf8')), undefined)
    t.same(log.lines.filter((line) => line.startsWith('error')), [])
  })
}

function order (writer: Program, orders: Pick<WriterOrders, 'path' | 'ledger' | 'pool'> & Partial<WriterOrders>): void {
  writer.say(JSON.stringify({ writers: WRITERS, restMs: 0, mayBeRefused: false, dieFrom: 'open', dieAtStep: 0, endAtStep: 0, ...orders } satisfies WriterOrders))
}

/** Leaves a journal behind that holds changes which the file lacks. */
async function killWithJournal (t: Test, { path, ledger }: Setting): Promise<string> {
  const writer = new Program(t, [process.execPath, WRITER])
  order(writer, { path, ledger, pool: 1800 })
  const saved = (): number => existsSync(ledger) ? readFileSync(ledger, 'utf8').split('\n["saved"').length : 0
  while (saved() < 50) await pause(1)
  writer.kill()
  await writer.exit
  // Killed while a rewrite begins, there is only the older one.
  return readFileSync(existsSync(`${path}.journal`) ? `${path}.journal` : `${path}.journal.old`, 'utf8')
}

for (const [way, restore, expected] of [
  ['a backup copied over the file', copyFileSync, [['s-1', 7], ['s-2', 8]]],
  ['the file removed', (_: string, path: string) => { rmSync(path) }, []]
] as const) {
  t.test(`${way} after a kill is what the next start goes by, and the journal is set aside`, async (t) => {
    const setting = setUp(t, 1800)
    const { folder, path, log, open } = setting
    const backup = join(folder, 'backup.csv')
    writeFileSync(backup, formatVersions([['s-1', 7], ['s-2', 8]]))
    const journal = await killWithJournal(t, setting)
    restore(backup, path)
    const store = await open()
    t.same(await seeAll(store), expected)
    t.equal(readFileSync(path, 'utf8'), formatVersions(expected).toString())
    const aside = readdirSync(folder).filter((name) => name.startsWith('sessions_journal_'))
    t.ok(aside.some((name) => readFileSync(join(folder, name), 'utf8') === journal), 'no byte of the journal is lost')
    t.ok(log.lines.some((line) => line.startsWith('warn: A journal beside')))
    await store.close()
    const kept = ['backup.csv', 'ledger', 'sessions.csv', 'sessions.csv.lock', ...aside]
    t.same(readdirSync(folder).sort(), kept.sort())
  })
}
