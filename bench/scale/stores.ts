import { fileURLToPath } from 'node:url'
import { PostgresServer } from '../../test/fixtures/postgres.ts'
import { RedisServer } from '../../test/fixtures/redis.ts'
import { formatLoad, median, runClient, type Load, type Measure } from '../measure.ts'
import { readCpuMs } from './cpu.ts'
import { Scene } from './scene.ts'
import { gaugePostgres, gaugeRedis, type Gauge } from './server.ts'

const CLIENT = fileURLToPath(new URL('../turn-client.ts', import.meta.url))

/** Replicas on a store. */
interface Setting {
  readonly store: string
  readonly replicas: number
  readonly env: Readonly<Record<string, string>>
  /** None for a store without a server. */
  readonly gauge: Gauge | undefined
}

/** What a round of a setting came to. */
interface Round {
  readonly sessions: Measure
  readonly turns: Measure
  /** What the turns cost, each: milliseconds of the replicas' processors and of the server's. */
  readonly replicaMs: number | undefined
  readonly serverMs: number | undefined
  /** What the server grew by, a turn. */
  readonly bytes: number | undefined
  readonly logBytes: number | undefined
}

/** How the stores are compared. */
export interface Comparison {
  readonly rounds: number
  /** New people, a turn each. */
  readonly sessions: Load
  /** People who stay. */
  readonly turns: Load
}

/** One replica on each store, and two on each that is shared, in turn; prints what they came to. */
export async function compareStores ({ rounds, ...loads }: Comparison): Promise<void> {
  const scene = new Scene()
  try {
    const found = (await listSettings(scene)).map(setting => ({ setting, rounds: new Array<Round>() }))
    for (let round = 0; round < rounds; round++) {
      for (const { setting, rounds } of found) rounds.push(await measure(setting, loads))
    }
    const csv = median(found[0]?.rounds.map(({ turns }) => turns) ?? [], 'turnsPerSecond')
    console.table(found.map(({ setting, rounds }) => formatRow(setting, rounds, csv)))
  } finally {
    await scene.end()
  }
}

async function listSettings (scene: Scene): Promise<Setting[]> {
  const databaseUrl = await (await PostgresServer.start(scene)).createDatabase()
  const redisUrl = (await RedisServer.start(scene)).addressOf(0)
  const postgres = { store: 'postgres', env: { SESSION_STORE: 'postgres', DATABASE_URL: databaseUrl }, gauge: gaugePostgres(databaseUrl) }
  const redis = { store: 'redis', env: { SESSION_STORE: 'redis', REDIS_URL: redisUrl }, gauge: gaugeRedis(redisUrl) }
  return [{ store: 'csv', replicas: 1, env: {}, gauge: undefined }, ...[postgres, redis].flatMap(shared => [1, 2].map(replicas => ({ ...shared, replicas })))]
}

async function measure ({ env, replicas, gauge }: Setting, { sessions, turns }: Omit<Comparison, 'rounds'>): Promise<Round> {
  const scene = new Scene()
  try {
    const services = await Promise.all(Array.from({ length: replicas }, () => scene.startService(env)))
    const urls = services.map(({ url }) => url).join(',')
    const made = await runClient(CLIENT, [urls, ...formatLoad(sessions)])
    const read = () => services.reduce<number | undefined>((sum, { pid }) => add(sum, readCpuMs(pid)), 0)
    const [before, cpuBefore] = [await gauge?.(), read()]
    const held = await runClient(CLIENT, [urls, ...formatLoad(turns)])
    const [after, cpuAfter] = [await gauge?.(), read()]
    const share = (to: number | undefined, from: number | undefined) =>
      to === undefined || from === undefined ? undefined : (to - from) / (turns.clients * turns.turnsPerClient)
    return {
      sessions: made,
      turns: held,
      replicaMs: share(cpuAfter, cpuBefore),
      serverMs: share(after?.cpuMs, before?.cpuMs),
      bytes: share(after?.bytes, before?.bytes),
      logBytes: share(after?.logBytes, before?.logBytes)
    }
  } finally {
    await scene.end()
  }
}

function formatRow ({ store, replicas }: Setting, rounds: readonly Round[], csv: number): object {
  const turns = rounds.map(round => round.turns)
  return {
    store,
    replicas,
    'sessions/s': Math.round(median(rounds.map(round => round.sessions), 'turnsPerSecond')),
    'turns/s': Math.round(median(turns, 'turnsPerSecond')),
    'p50 ms': median(turns, 'p50Ms').toFixed(1),
    'p99 ms': median(turns, 'p99Ms').toFixed(1),
    'of csv': (median(turns, 'turnsPerSecond') / csv).toFixed(2),
    'CPU ms a turn: replica': format(rounds.map(round => round.replicaMs)),
    server: format(rounds.map(round => round.serverMs)),
    'KB a turn: kept': format(rounds.map(({ bytes }) => bytes === undefined ? undefined : bytes / 1024)),
    'written ahead': format(rounds.map(({ logBytes }) => logBytes === undefined ? undefined : logBytes / 1024))
  }
}

function add (sum: number | undefined, next: number | undefined): number | undefined {
  return sum === undefined || next === undefined ? undefined : sum + next
}

/** The one in the middle. */
function format (values: ReadonlyArray<number | undefined>): string {
  const known = values.filter(value => value !== undefined).sort((a, b) => a - b)
  return known[Math.floor(known.length / 2)]?.toFixed(2) ?? ''
}
