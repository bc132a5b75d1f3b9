import t from 'tap'
import { testReplicas } from './contract/replicas.ts'
import { startApp } from './fixtures/app.ts'
import { PostgresServer } from './fixtures/postgres.ts'

t.test('on Postgres', async t => {
  const server = await PostgresServer.start(t)
  testReplicas(t, async () => ({ SESSION_STORE: 'postgres', DATABASE_URL: await server.createDatabase() }))
})

t.test('while Postgres is away everything that needs it is refused with 503, and goes on by itself when it is back', async t => {
  const server = await PostgresServer.start(t)
  const env = { SESSION_STORE: 'postgres', DATABASE_URL: await server.createDatabase(), API_KEY: 'key', RATE_LIMIT_MAX: '100', RATE_LIMIT_KEY_MAX: '100' }
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { env, logged })
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
})
