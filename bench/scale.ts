import { cpus } from 'node:os'
import { PostgresServer } from '../test/fixtures/postgres.ts'
import { RedisServer } from '../test/fixtures/redis.ts'
import { Scene } from './scale/scene.ts'
import { compareStores } from './scale/stores.ts'
import { countCommands, countStatements, type Trips } from './scale/trips.ts'

/** One replica on each store, two on each that is shared, in one run: `npm run bench:scale`. */
const ROUNDS = 3
const CLIENTS = 20
const COUNTED_TURNS = 20

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

async function countTrips (): Promise<void> {
  const scene = new Scene()
  try {
    const postgres = await PostgresServer.start(scene, ['log_statement=all'])
    const redis = await RedisServer.start(scene)
    const { url: onPostgres } = await scene.startService({ SESSION_STORE: 'postgres', DATABASE_URL: await postgres.createDatabase() })
    const { url: onRedis } = await scene.startService({ SESSION_STORE: 'redis', REDIS_URL: redis.addressOf(0) })
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
if (!process.argv.includes('--trips')) {
  const load = { clients: CLIENTS, turnsPerClient: 50 }
  await compareStores({ rounds: ROUNDS, sessions: { ...load, turnsPerPerson: 1 }, turns: { ...load, turnsPerPerson: 10 } })
}
