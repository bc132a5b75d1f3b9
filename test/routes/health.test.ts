import t from 'tap'
import { startApp } from '../fixtures/app.ts'
import { FakeLangGraph } from '../fixtures/fake-langgraph.ts'

t.test('health tells what works and how much it holds', async t => {
  const service = await startApp(t, { env: { API_KEY: 'k' } })
  const { status, body } = await service.get('/health')
  t.equal(status, 200, 'it needs no key')
  t.match(body, {
    status: 'healthy',
    timestamp: /Z$/,
    active_sessions: 0,
    uptime_seconds: Number,
    version: /^\d+\.\d+\.\d+/,
    store: { type: 'csv', can_save: true },
    agent: { type: 'built-in', model: 'offline', can_save: true, reachable: true }
  })
  await service.chat({ user_id: 'ann', message: 'Hello' }, { authorization: 'Bearer k' })
  t.equal((await service.get('/health')).body.active_sessions, 1)
  t.match(await service.get('/health/live'), { status: 200, body: { status: 'live' } })
  t.match(await service.get('/health/ready'), { status: 200, body: { status: 'ready' } })
})

t.test('a store that cannot save is said, reads are served, and chat is refused before the agent acts', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('Hello')
  const { sessionStore } = service.app
  t.intercept(sessionStore, 'status', { value: () => ({ kind: 'csv', canSave: false, reason: 'no space left' }), configurable: true })
  const headers = { 'retry-after': /^[1-9]/, 'cache-control': 'no-store' }
  t.match(await service.get('/health'), { status: 503, headers, body: { status: 'degraded', reason: 'no space left' } })
  t.match(await service.get('/health/ready'), { status: 503, headers, body: { reason: 'no space left' } })
  t.match(await service.get('/health/live'), { status: 200 })
  const refused = await service.say('More')
  t.match(refused, { status: 503, body: { code: 'STORE_UNAVAILABLE', status: 'error' } })
  t.ok(Number(refused.headers['retry-after']) > 0)
  t.equal((await service.get(`/api/sessions/${session_id}/messages`)).body.messages.length, 2)
})

t.test('conversations that cannot be saved are said beside sessions that cannot, and chat is refused before the agent acts', async t => {
  const service = await startApp(t)
  const { sessionStore, agent } = service.app
  t.intercept(agent, 'status', { value: () => ({ canSave: false, reason: 'the file is damaged' }), configurable: true })
  const conversations = 'conversations cannot be saved: the file is damaged'
  t.match(await service.get('/health'), { status: 503, body: { status: 'degraded', reason: conversations, agent: { can_save: false } } })
  t.match(await service.get('/health/ready'), { status: 503, body: { reason: conversations } })
  t.intercept(agent, 'pending', { value: () => t.fail('asked for what nobody can answer') })
  t.match(await service.say('Hello'), { status: 503, body: { code: 'CONVERSATIONS_UNAVAILABLE', status: 'error' } })
  t.intercept(sessionStore, 'status', { value: () => ({ kind: 'csv', canSave: false, reason: 'no space left' }), configurable: true })
  t.match(await service.get('/health'), { status: 503, body: { reason: `no space left; ${conversations}` } })
  t.intercept(agent, 'status', { value: () => ({ canSave: false, reason: 'no space left' }), configurable: true })
  t.match(await service.get('/health'), { status: 503, body: { reason: 'neither sessions nor conversations can be saved: no space left' } }, 'said once')
})

t.test('sessions that are saved with a delay are degraded, and ready', async t => {
  const service = await startApp(t)
  const value = () => ({ kind: 'csv', canSave: true, reason: 'the file is behind' })
  t.intercept(service.app.sessionStore, 'status', { value, configurable: true })
  t.match(await service.get('/health'), { status: 503, body: { status: 'degraded', reason: 'the file is behind', store: { can_save: true } } })
  t.match(await service.get('/health/ready'), { status: 200, body: { status: 'ready' } })
  t.match(await service.say('Hello'), { status: 200 })
})

t.test('a store that cannot be read is degraded, and not ready, whatever it last said of itself', async t => {
  const service = await startApp(t)
  const away = { value: async () => { throw new Error('The connection was refused') }, configurable: true }
  t.intercept(service.app.sessionStore, 'count', away)
  const health = await service.get('/health')
  t.match(health, { status: 503, headers: { 'retry-after': '5' }, body: { status: 'degraded', reason: 'sessions cannot be read' } })
  t.notOk('active_sessions' in health.body, 'nobody knows how many there are')
  t.match(await service.get('/health/ready'), { status: 200 })
  t.intercept(service.app.sessionStore, 'get', away)
  t.match(await service.get('/health/ready'), { status: 503, headers: { 'retry-after': '5' }, body: { reason: 'sessions cannot be read' } })
  t.intercept(service.app.sessionStore, 'status', { value: () => ({ kind: 'postgres', canSave: false, reason: 'the server is away' }), configurable: true })
  t.match(await service.get('/health'), { status: 503, body: { reason: 'the server is away' } })
  t.match(await service.get('/health/ready'), { status: 503, body: { reason: 'the server is away' } })
})

t.test('a store that answers late is waited for no longer than those who ask have the time for', async t => {
  const service = await startApp(t)
  t.intercept(service.app.sessionStore, 'count', { value: async () => await new Promise(() => {}) })
  t.match(await service.get('/health'), { status: 200, body: { status: 'healthy' } }, 'to count many takes its time')
  t.intercept(service.app.sessionStore, 'get', { value: async () => await new Promise(() => {}) })
  t.match(await service.get('/health/ready'), { status: 503 })
})

t.test('an agent that cannot be reached is said, and not ready; sessions are served', async t => {
  let isDown = true
  const fake = await FakeLangGraph.start(t, ({ path }) => path === '/ok' ? [isDown ? 503 : 200, {}] : [200, [{}]])
  let nowMs = 1_700_000_000_000
  const service = await startApp(t, { env: { LANGGRAPH_URL: fake.url, LANGGRAPH_API_KEY: 'key-of-ours' }, now: () => nowMs })
  t.match(await service.get('/health/ready'), { status: 200 }, 'it was there at the start')
  await until(async () => (await service.get('/health/ready')).status === 503)
  t.match(await service.get('/health/ready'), { headers: { 'retry-after': /^[1-9]/ }, body: { reason: 'the LangGraph server answers 503' } })
  t.match(await service.get('/health'), { status: 200, body: { status: 'healthy', agent: { type: 'remote', reachable: false } } })
  t.match(await service.get('/health/live'), { status: 200 })
  t.equal((await service.get('/api/sessions')).status, 200)
  t.equal(fake.count('GET', /^\/ok$/), 1, 'who asks all the time makes one look')
  t.equal(fake.asked.find(({ path }) => path === '/ok')?.headers['x-api-key'], 'key-of-ours')
  isDown = false
  nowMs += 5000
  await until(async () => (await service.get('/health/ready')).status === 200)
})

t.test('each of them answers HEAD with the status of its GET', async t => {
  const service = await startApp(t)
  const head = async (url: string) => (await service.app.inject({ method: 'HEAD', url })).statusCode
  for (const url of ['/health', '/health/live', '/health/ready']) t.equal(await head(url), 200, url)
  t.intercept(service.app.sessionStore, 'status', { value: () => ({ kind: 'csv', canSave: false }), configurable: true })
  t.equal(await head('/health'), 503)
  t.equal(await head('/health/ready'), 503)
})

t.test('while turns drain, new ones get 503 and the probe says so', async t => {
  const service = await startApp(t)
  await service.app.conversation.drain(0)
  const refused = await service.say('Hello')
  t.match(refused, { status: 503, body: { code: 'SERVICE_STOPPING', status: 'error' } })
  t.ok(Number(refused.headers['retry-after']) > 0)
  t.match(await service.get('/health/ready'), { status: 503, body: { reason: 'stopping' } })
  t.match(await service.get('/health'), { status: 200 })
})

t.test('a timeout of any fraction of a minute is taken', async t => {
  for (const minutes of ['4.35', '0.27', '0.00001']) {
    const service = await startApp(t, { env: { SESSION_TIMEOUT_MINUTES: minutes, CLEANUP_INTERVAL_MINUTES: minutes } })
    t.equal((await service.get('/health')).status, 200, minutes)
    await service.app.close()
  }
})

t.test('the root lists every endpoint', async t => {
  const service = await startApp(t)
  const { body } = await service.get('/')
  t.match(body, { name: 'Holdline', version: /^\d/, status: 'running', documentation: String })
  for (const endpoint of ['POST /api/chat', 'POST /api/approve', 'GET /api/sessions', 'GET /health', 'DELETE /api/sessions/:session_id']) {
    t.ok(body.endpoints.includes(endpoint), endpoint)
  }
})

/** What another process has a part in shows within moments. */
async function until (isSo: () => Promise<boolean>): Promise<void> {
  while (!await isSo()) await new Promise(resolve => { setImmediate(resolve) })
}
