import t from 'tap'
import { ServiceError } from '../../src/errors.ts'
import { startApp } from '../fixtures/app.ts'

const MINUTE_MS = 60_000

t.test('a person who says more in a minute than may be is told when to go on, in the form of every error', async t => {
  let nowMs = Date.now()
  const service = await startApp(t, { env: { RATE_LIMIT_MAX: '2' }, now: () => nowMs })
  t.match((await service.say('1')).headers, { 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '60' })
  nowMs += 20_500
  t.match(await service.say('2'), { status: 200, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '40' } })
  const refused = await service.say('3')
  t.match(refused, {
    status: 429,
    headers: { 'retry-after': '40', 'x-ratelimit-remaining': '0' },
    body: {
      statusCode: 429, code: 'RATE_LIMITED', error: 'Too Many Requests', message: /wait/, request_id: String, status: 'error', requires_approval: false, approval_data: null, metadata: {}, user_id: 'api_ann', platform: 'api'
    }
  })
  t.equal((await service.say('1', { user_id: 'bob' })).status, 200, 'another person is not concerned')
  nowMs += 39_499
  t.match(await service.say('4'), { status: 429, headers: { 'retry-after': '1' } }, 'what was refused makes the wait no longer')
  nowMs += 1
  t.equal((await service.say('5')).status, 200)
})

t.test('a refused message has no effect', async t => {
  const service = await startApp(t, { env: { RATE_LIMIT_MAX: '1' } })
  const { body: { session_id } } = await service.say('1')
  t.equal((await service.say('2', { metadata: { a: 1 } })).status, 429)
  t.equal((await service.get(`/api/sessions/${session_id}/messages`)).body.messages.length, 2)
  t.same((await service.get('/api/sessions/ann')).body.sessions[0]?.metadata, {})
})

t.test('a person has one count, however named, by message or decision, with whatever of the ids', async t => {
  const service = await startApp(t, { env: { RATE_LIMIT_MAX: '5' } })
  const { body: { session_id } } = await service.say('note: one', { user_id: '456', platform: 'telegram' })
  const left = async (asked: Promise<{ headers: Record<string, unknown> }>) => Number((await asked).headers['x-ratelimit-remaining'])
  t.equal(await left(service.say('hm', { user_id: 'telegram_456' })), 3)
  t.equal(await left(service.say('hm', { user_id: '456', session_id })), 2)
  t.equal(await left(service.approve({ user_id: '456', session_id, approved: false })), 1)
  t.equal(await left(service.approve({ user_id: 'telegram_456', session_id, approved: false })), 0)
  t.equal((await service.approve({ user_id: '456', session_id, platform: 'telegram', approved: false })).status, 429)
  t.equal(await left(service.say('hm', { user_id: '456' })), 4, 'on another platform it is another one')
})

t.test('a request that is not valid does not count, and a repeat does', async t => {
  const service = await startApp(t, { env: { RATE_LIMIT_MAX: '2' } })
  t.equal((await service.chat({ user_id: 'ann' })).status, 400)
  const repeat = async () => await service.chat({ user_id: 'ann', message: 'Hello' }, { 'idempotency-key': 'k' })
  t.match((await repeat()).headers, { 'x-ratelimit-remaining': '1' })
  t.match(await repeat(), { status: 200, headers: { 'x-ratelimit-remaining': '0', 'idempotency-replayed': 'true' } })
  t.equal((await repeat()).status, 429)
})

t.test('reading counts for nobody, and without a limit nothing is told', async t => {
  const service = await startApp(t, { env: { RATE_LIMIT_MAX: '1' } })
  for (let index = 0; index < 3; index++) {
    const { status, headers } = await service.get('/api/sessions')
    t.equal(status, 200)
    t.notOk('x-ratelimit-limit' in headers)
  }
  const unlimited = await startApp(t, { env: { RATE_LIMIT_MAX: '0' } })
  t.notOk('x-ratelimit-limit' in (await unlimited.say('Hello')).headers)
})

t.test('a key that asks too often is refused on every route save those that need none', async t => {
  let nowMs = Date.now()
  const service = await startApp(t, { env: { API_KEY: 'key', RATE_LIMIT_KEY_MAX: '2' }, now: () => nowMs })
  const ask = async (url: string) => await service.request({ method: 'GET', url, headers: { 'x-api-key': 'key' } })
  t.match(await ask('/api/sessions'), { status: 200, headers: { 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '1' } })
  t.equal((await service.chat({ user_id: 'ann', message: 'Hello' }, { 'x-api-key': 'key' })).status, 200)
  t.match(await service.chat({ user_id: 'ann', message: 'Hello' }, { 'x-api-key': 'key' }), { status: 429, body: { code: 'RATE_LIMITED', status: 'error' } })
  t.match(await ask('/api/sessions'), { status: 429, headers: { 'retry-after': '60' }, body: { code: 'RATE_LIMITED' } })
  t.equal((await ask('/health')).status, 200)
  t.equal((await ask('/')).status, 200)
  t.equal((await service.get('/api/sessions')).status, 401, 'who has no key uses nothing up')
  nowMs += MINUTE_MS
  t.equal((await ask('/api/sessions')).status, 200)
})

t.test('of two limits the headers tell the nearer one', async t => {
  const service = await startApp(t, { env: { RATE_LIMIT_MAX: '3', RATE_LIMIT_KEY_MAX: '4' } })
  t.match((await service.say('1')).headers, { 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': '2' })
  await service.say('1', { user_id: 'bob' })
  await service.say('2', { user_id: 'bob' })
  t.match((await service.say('2')).headers, { 'x-ratelimit-limit': '4', 'x-ratelimit-remaining': '0' })
})

t.test('without keys an address is one client, of IPv6 its network', async t => {
  const service = await startApp(t, { env: { RATE_LIMIT_KEY_MAX: '1' } })
  const from = async (remoteAddress: string) => (await service.request({ method: 'GET', url: '/api/sessions', remoteAddress })).status
  t.equal(await from('192.0.2.1'), 200)
  t.equal(await from('::ffff:192.0.2.1'), 429, 'the same address, as a socket for both families tells it')
  t.equal(await from('192.0.2.2'), 200)
  t.equal(await from('2001:db8::1'), 200)
  t.equal(await from('2001:db8::2'), 429)
  t.equal(await from('2001:db8:1::1'), 200)
})

t.test('nobody passes uncounted: while requests cannot be counted they are refused with 503, and what is measured can be read', async t => {
  const service = await startApp(t, { env: { API_KEY: 'key', RATE_LIMIT_MAX: '10', RATE_LIMIT_KEY_MAX: '10' } })
  t.intercept(service.app.engine, 'count', { value: async () => { throw new Error('The connection was refused') } })
  const headers = { 'x-api-key': 'key' }
  const refusal = { status: 503, headers: { 'retry-after': '5' }, body: { code: 'STORE_UNAVAILABLE' } }
  t.match(await service.chat({ user_id: 'ann', message: 'Hello' }, headers), refusal)
  t.match(await service.request({ method: 'GET', url: '/api/sessions', headers }), refusal)
  t.equal((await service.app.inject({ url: '/metrics', headers })).statusCode, 200)
  t.equal((await service.get('/health')).status, 200)
  const limited = await startApp(t, { env: { RATE_LIMIT_MAX: '10' } })
  t.intercept(limited.app.engine, 'count', { value: async () => { throw new ServiceError('STORE_UNAVAILABLE', { retryAfterSeconds: 5 }) } })
  t.match(await limited.say('Hello'), { ...refusal, body: { code: 'STORE_UNAVAILABLE', status: 'error', user_id: 'api_ann' } })
})
