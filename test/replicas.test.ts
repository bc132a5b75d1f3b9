import t, { type Test } from 'tap'
import { testReplicas } from './contract/replicas.ts'
import { startApp } from './fixtures/app.ts'
import { PostgresServer } from './fixtures/postgres.ts'
import { NO_REDIS, RedisServer } from './fixtures/redis.ts'

t.test('on Postgres', async t => {
  const server = await PostgresServer.start(t)
  testReplicas(t, async () => ({ SESSION_STORE: 'postgres', DATABASE_URL: await server.createDatabase() }))
})

t.test('on Redis', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  let databases = 0
  testReplicas(t, async () => ({ SESSION_STORE: 'redis', REDIS_URL: server.addressOf(databases++) }))
})

interface Server {
  start (): Promise<void>
  stop (): Promise<void>
}

/** A service whose database goes away, and comes back. */
async function testAbsence (t: Test, server: Server, store: Readonly<Record<string, string>>): Promise<void> {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { env: { ...store, API_KEY: 'key', RATE_LIMIT_MAX: '100', RATE_LIMIT_KEY_MAX: '100' }, logged })
  const headers = { 'x-api-key': 'key' }
  const say = async () => await service.chat({ user_id: 'ann', message: 'Hello' }, headers)
  const { body: { session_id } } = await say()
  await server.stop()
  const away = { status: 503, headers: { 'retry-after': '5' } }
  t.match(await say(), { ...away, body: { code: 'STORE_UNAVAILABLE' } })
  for (const url of ['/api/sessions', '/api/sessions/count', `/api/sessions/${session_id}/messages`]) {
    t.match(await service.request({ method: 'GET', url, headers }), { ...away, body: { code: 'STORE_UNAVAILABLE' } }, url)
  }
  t.match(await service.get('/health'), { ...away, body: { status: 'degraded', reason: String } })
  t.match(await service.get('/health/ready'), { ...away, body: { reason: String } })
  t.equal((await service.get('/health/live')).status, 200)
  t.equal((await service.app.inject({ url: '/metrics', headers })).statusCode, 200)
  await server.start()
  while ((await service.get('/health/ready')).status !== 200) await new Promise(resolve => setTimeout(resolve, 50))
  t.match(await say(), { status: 200, body: { session_id } })
  t.notOk(logged.some(({ code }) => code === 'INTERNAL'))
}

t.test('while Postgres is away everything that needs it is refused with 503, and goes on by itself when it is back', async t => {
  const server = await PostgresServer.start(t)
  await testAbsence(t, server, { SESSION_STORE: 'postgres', DATABASE_URL: await server.createDatabase() })
})

t.test('so it is with Redis', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  await testAbsence(t, server, { SESSION_STORE: 'redis', REDIS_URL: server.addressOf(0) })
})
