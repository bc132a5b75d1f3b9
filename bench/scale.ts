import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { PostgresServer } from '../test/fixtures/postgres.ts'
import { RedisServer } from '../test/fixtures/redis.ts'
import { formatLoad, median, runClient, type Load, type Measure } from './measure.ts'
import { Scene } from './scale/scene.ts'
import { countCommands, countStatements, type Trips } from './scale/trips.ts'

/** One replica on each store, two on each that is shared, in one run: `npm run bench:scale`. */
const ROUNDS = 3
const CLIENTS = 20
const SESSIONS: Load = { clients: CLIENTS, turnsPerClient: 50, turnsPerPerson: 1 }
const TURNS: Load = { clients: CLIENTS, turnsPerClient: 50, turnsPerPerson: 10 }
const COUNTED_TURNS = 20

const CLIENT = fileURLToPath(new URL('turn-client.ts', import.meta.url))

interface Setting {
  readonly store: string
  readonly replicas: number
  readonly env: Readonly<Record<string, string>>
}

async function measure (scene: Scene, { env, replicas }: Setting): Promise<{ readonly sessions: Measure, readonly turns: Measure }> {
  const urls = await Promise.all(Array.from({ length: replicas }, () => scene.startService(env)))
  const sessions = await runClient(CLIENT, [urls.join(','), ...formatLoad(SESSIONS)])
  const turns = await runClient(CLIENT, [urls.join(','), ...formatLoad(TURNS)])
  return { sessions, turns }
}

/** Turns of a person who is known already, one after another. */
async function talk (url: string, turns: number): Promise<void> {
  for (let index = 0; index < turns; index++) {
    const response = await fetch(`${url}/api/chat`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ user_id: 'counted', message: 'Hello' })
    })
    if (!response.ok) throw new Error(`The service answered ${response.status}`)
    await response.text()
  }
}

async function compareStores (): Promise<void> {
  const scene = new Scene()
  try {
    const postgres = await PostgresServer.start(scene)
    const redis = await RedisServer.start(scene)
    const onPostgres = { SESSION_STORE: 'postgres', DATABASE_URL: await postgres.createDatabase() }
    const onRedis = { SESSION_STORE: 'redis', REDIS_URL: redis.addressOf(0) }
    const settings: Setting[] = [
      { store: 'csv', replicas: 1, env: {} },
      ...[1, 2].map(replicas => ({ store: 'postgres', replicas, env: onPostgres })),
      ...[1, 2].map(replicas => ({ store: 'redis', replicas, env: onRedis }))
    ]
    const measures = new Map<Setting, { sessions: Measure[], turns: Measure[] }>(settings.map(setting => [setting, { sessions: [], turns: [] }]))
    for (let round = 0; round < ROUNDS; round++) {
      for (const [setting, found] of measures) {
        const services = new Scene()
        const { sessions, turns } = await measure(services, setting)
        await services.end()
        found.sessions.push(sessions)
        found.turns.push(turns)
      }
    }
    const [first] = measures.values()
    const csv = median(first?.turns ?? [], 'turnsPerSecond')
    console.table([...measures].map(([{ store, replicas }, { sessions, turns }]) => ({
      store,
      replicas,
      'sessions/s': Math.round(median(sessions, 'turnsPerSecond')),
      'turns/s': Math.round(median(turns, 'turnsPerSecond')),
      'p50 ms': median(turns, 'p50Ms').toFixed(1),
      'p99 ms': median(turns, 'p99Ms').toFixed(1),
      'of csv': (median(turns, 'turnsPerSecond') / csv).toFixed(2)
    })))
  } finally {
    await scene.end()
  }
}

async function countTrips (): Promise<void> {
  const scene = new Scene()
  try {
    const postgres = await PostgresServer.start(scene, ['log_statement=all'])
    const redis = await RedisServer.start(scene)
    const onPostgres = await scene.startService({ SESSION_STORE: 'postgres', DATABASE_URL: await postgres.createDatabase() })
    const onRedis = await scene.startService({ SESSION_STORE: 'redis', REDIS_URL: redis.addressOf(0) })
    // The first turn makes the session.
    await Promise.all([talk(onPostgres, 1), talk(onRedis, 1)])
    const statements = await countStatements(postgres, COUNTED_TURNS, async () => { await talk(onPostgres, COUNTED_TURNS) })
    const commands = await countCommands(redis.port, COUNTED_TURNS, async () => { await talk(onRedis, COUNTED_TURNS) })
    const format = (store: string, { own, conversation }: Trips) => ({ store, 'of Holdline': own.toFixed(1), 'of the conversation': conversation.toFixed(1) })
    console.log('Queries of a chat turn')
    console.table([format('postgres', statements), format('redis', commands)])
    if (process.argv.includes('--texts')) console.log(statements.texts.join('\n'))
  } finally {
    await scene.end()
  }
}

console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}; offline model, ${CLIENTS} clients, median of ${ROUNDS} rounds`)
await countTrips()
if (!process.argv.includes('--trips')) await compareStores()
