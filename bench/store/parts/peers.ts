import { runJob } from '../children.ts'
import { inRunFolder } from '../folder.ts'
import type { Writes } from '../jobs/writes.ts'
import { median } from '../median.ts'
import type { PeerOptions } from '../peers/peer.ts'
import type { Plan } from '../plan.ts'
import { startRedis } from '../redis-server.ts'
import { formatNumber, formatRounds, printTable, type Aim, type Bench } from '../report.ts'

type Redis = { readonly kind: 'redis', readonly appendfsync: 'always' | 'everysec' }

interface Entry {
  readonly name: string
  readonly peer: Exclude<PeerOptions, { kind: 'redis' }> | Redis
}

const HOLDLINE: Entry = { name: 'this store, fsync always', peer: { kind: 'holdline', fsync: 'always' } }
const REDIS: Entry = { name: 'Redis, AOF always', peer: { kind: 'redis', appendfsync: 'always' } }
const SQLITE: Entry = { name: 'better-sqlite3, WAL, FULL', peer: { kind: 'sqlite', synchronous: 'FULL' } }
const REWRITER: Entry = { name: 'whole file, never synced', peer: { kind: 'rewriter' } }

/** What is compared stands side by side: the speed of a machine drifts. */
const ENTRIES: readonly Entry[] = [
  REDIS,
  HOLDLINE,
  SQLITE,
  { name: 'better-sqlite3, WAL, NORMAL', peer: { kind: 'sqlite', synchronous: 'NORMAL' } },
  { name: 'Redis, AOF everysec', peer: { kind: 'redis', appendfsync: 'everysec' } },
  { name: 'this store, fsync never', peer: { kind: 'holdline', fsync: 'never' } },
  REWRITER
]

/** Writes a second of the store and of its peers, in rounds that take turns. */
export async function comparePeers ({ plan, dir }: Bench): Promise<Aim[]> {
  const { writers, sessions, rounds } = plan
  const measured = new Map<Entry, Writes[]>(ENTRIES.map(entry => [entry, []]))
  const left = new Set(ENTRIES)
  for (let round = 0; round < rounds; round++) {
    for (const entry of round % 2 === 0 ? [...left] : [...left].reverse()) {
      const writes = await inRunFolder(dir, runDir => measure(entry, plan, runDir))
      if (writes !== undefined) measured.get(entry)?.push(writes)
      // One round of the rewriter takes as long as three of the others, and tells as much.
      if (writes === undefined || entry === REWRITER) left.delete(entry)
    }
  }
  const rows = [...measured].filter(([, writes]) => writes.length > 0).map(([{ name }, writes]) => [name, ...describe(writes)])
  const head = ['', 'writes/s', 'of all rounds', 'p50 ms', 'p99 ms']
  printTable(`A. Writes: ${writers} writers, ${formatNumber(sessions)} sessions, ${formatRounds(rounds)}`, head, rows)
  const compare = (other: Entry, atLeast: number): Aim => {
    const ratio = compareRounds(measured.get(HOLDLINE) ?? [], measured.get(other) ?? [])
    return { what: `A. ${HOLDLINE.name} / ${other.name}`, value: ratio, unit: '', bound: { atLeast } }
  }
  return [compare(REDIS, 1), compare(SQLITE, 10)]
}

/** What a median round came to, and between which numbers of writes a second it lies. */
export function describe (writes: readonly Writes[]): string[] {
  const rates = writes.map(({ writesPerSecond }) => writesPerSecond)
  const middle = writes.find(({ writesPerSecond }) => writesPerSecond === median(rates))
  return [
    formatNumber(median(rates)),
    `${formatNumber(Math.min(...rates))}–${formatNumber(Math.max(...rates))}`,
    formatNumber(middle?.p50Ms ?? Number.NaN),
    formatNumber(middle?.p99Ms ?? Number.NaN)
  ]
}

/** The median of the ratios of each round, whose runs were neighbours in time. */
export function compareRounds (ours: readonly Writes[], theirs: readonly Writes[]): number {
  return median(ours.flatMap(({ writesPerSecond }, round) => {
    const other = theirs[round]
    return other === undefined ? [] : [writesPerSecond / other.writesPerSecond]
  }))
}

async function measure ({ name, peer }: Entry, { writers, sessions, ...plan }: Plan, dir: string): Promise<Writes | undefined> {
  const [warmUpMs, durationMs] = peer.kind === 'rewriter' ? [0, 1000] : [plan.warmUpMs, plan.durationMs]
  const options = { dir, sessions, writers, warmUpMs, durationMs }
  if (peer.kind !== 'redis') return await runJob('writes', { ...options, peer })
  const server = await startRedis(dir, peer.appendfsync)
  if (server === undefined) {
    console.error(`SKIPPED: ${name}: there is no redis-server. To compare with it: apt-get install redis-server (macOS: brew install redis)`)
    return undefined
  }
  const writes = await runJob('writes', { ...options, peer: { kind: 'redis', port: server.port, isPipelined: peer.appendfsync === 'everysec' } })
  await server.stop()
  return writes
}
