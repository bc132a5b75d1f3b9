import { connect } from 'node:net'
import { once } from 'node:events'
import { request } from 'node:http'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SimpleIntervalJob } from 'toad-scheduler'
import t from 'tap'
import { HEADER } from '../fixtures/big-table.ts'
import { startApp } from '../fixtures/app.ts'
import { EventClient } from '../fixtures/event-client.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'
import { Scrape } from '../fixtures/scrape.ts'
import { makeSession } from '../fixtures/sessions.ts'

const HTTP = 'holdline_http_request_duration_seconds_count'

t.test('every series whose labels are known is there before anything happens, at zero', async t => {
  const scrape = await Scrape.take(await startApp(t))
  const zero = [
    ['holdline_turns_total', { outcome: 'completed', code: 'none' }], ['holdline_turns_total', { outcome: 'failed', code: 'AGENT_TIMEOUT' }],
    ['holdline_turns_total', { outcome: 'cancelled' }], ['holdline_turn_duration_seconds_count', { outcome: 'completed' }],
    ['holdline_turn_wait_seconds_count', {}], ['holdline_model_tokens_total', { model: 'offline', direction: 'input' }],
    ['holdline_model_tokens_total', { model: 'offline', direction: 'output' }], ['holdline_turns_running', {}], ['holdline_turns_waiting', {}],
    ['holdline_sessions', { platform: 'telegram' }], ['holdline_sessions', { platform: 'other' }], ['holdline_approvals_pending', {}],
    ['holdline_approval_oldest_age_seconds', {}], ['holdline_approvals_asked_total', {}], ['holdline_approvals_expired_total', {}],
    ['holdline_approvals_decided_total', { decision: 'approve', route: 'chat' }], ['holdline_sweeps_total', { outcome: 'completed' }],
    ['holdline_sweeps_total', { outcome: 'failed' }], ['holdline_sessions_removed_total', { reason: 'expired' }],
    ['holdline_conversations_swept_total', {}], ['holdline_store_writes_total', { outcome: 'saved' }], ['holdline_store_writes_total', { outcome: 'refused' }],
    ['holdline_store_group_size_count', {}], ['holdline_store_fsync_duration_seconds_count', { call: 'fdatasync' }],
    ['holdline_store_file_lag_seconds', {}], ['holdline_store_rejected_rows_total', {}], ['holdline_streams_open', {}],
    ['holdline_http_malformed_requests_total', {}], [HTTP, { method: 'POST', route: '/api/chat', status: '200' }],
    [HTTP, { method: 'GET', route: '/api/sessions/:session_id/messages', status: '200' }], [HTTP, { route: 'unknown', status: '404' }]
  ] as const
  for (const [name, labels] of zero) t.equal(scrape.sum(name, labels), 0, `${name} ${JSON.stringify(labels)}`)
  t.equal(scrape.sum('holdline_can_save', { what: 'sessions' }), 1)
  t.equal(scrape.sum('holdline_can_save', { what: 'conversations' }), 1)
  t.match(scrape.find('holdline_build_info'), [{ labels: { version: /^\d/ }, value: 1 }])
  for (const name of ['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds', 'nodejs_heap_size_used_bytes', 'holdline_heap_limit_bytes']) {
    t.equal(scrape.find(name).length, 1, name)
  }
})

t.test('two services in one process count each for itself', async t => {
  const [one, other] = [await startApp(t), await startApp(t)]
  await one.say('Hello')
  t.equal((await Scrape.take(one)).sum('holdline_turns_total'), 1)
  t.equal((await Scrape.take(other)).sum('holdline_turns_total'), 0)
})

t.test('it needs a key where there is one, and is no JSON', async t => {
  const { app } = await startApp(t, { env: { API_KEY: 'k' } })
  t.equal((await app.inject({ url: '/metrics' })).statusCode, 401)
  const { statusCode, headers } = await app.inject({ url: '/metrics', headers: { authorization: 'Bearer k' } })
  t.equal(statusCode, 200)
  t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
})

t.test('requests are counted by route and status, those that no route answers as one, and none by its URL', async t => {
  const service = await startApp(t, { env: { API_KEY: 'k' } })
  await service.app.inject({ url: '/api/sessions/secret-person' })
  const headers = { authorization: 'Bearer k' }
  for (const url of ['/secret-1', '/secret-2?a=b', '/api/sessions/%E0%A4%A', `/api/sessions/${'x'.repeat(700)}`]) await service.app.inject({ url, headers })
  await service.app.inject({ method: 'PURGE', url: '/secret-3', headers })
  await service.app.inject({ url: '/health' })
  const { body } = await service.app.inject({ url: '/metrics', headers })
  const scrape = new Scrape(body)
  t.equal(scrape.sum(HTTP, { method: 'GET', route: '/api/sessions/:user_id', status: '401' }), 1)
  t.equal(scrape.sum(HTTP, { method: 'GET', route: 'unknown', status: '404' }), 2)
  t.equal(scrape.sum(HTTP, { method: 'GET', route: 'unknown', status: '400' }), 1)
  t.equal(scrape.sum(HTTP, { method: 'GET', route: 'unknown', status: '414' }), 1)
  t.equal(scrape.sum(HTTP, { method: 'other', route: 'unknown' }), 1)
  t.equal(scrape.sum(HTTP, { route: '/health', status: '200' }), 1)
  t.notMatch(body, /secret|xxx/)
})

t.test('what is no HTTP is counted apart', async t => {
  const service = await startApp(t)
  const socket = connect(Number(new URL(await service.listen()).port), '127.0.0.1')
  socket.end('GARBAGE\r\n\r\n')
  await once(socket.resume(), 'close')
  t.equal((await Scrape.take(service)).sum('holdline_http_malformed_requests_total'), 1)
})

t.test('a stream counts as open, and as one request that takes until it ends', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const { asked, answered } = provider.hold('Done')
  const stream = await EventClient.open(`${await service.listen()}/api/chat`, { user_id: 'ann', message: 'Hello' })
  await asked.opened
  const during = await Scrape.take(service)
  t.equal(during.sum('holdline_streams_open'), 1)
  t.equal(during.sum('holdline_turns_running'), 1)
  t.equal(during.sum(HTTP, { route: '/api/chat' }), 0)
  answered.open()
  await stream.rest()
  let after = await Scrape.take(service)
  while (after.sum('holdline_streams_open') > 0 || after.sum(HTTP, { route: '/api/chat' }) === 0) after = await Scrape.take(service)
  t.equal(after.sum(HTTP, { route: '/api/chat', status: '200' }), 1)
  t.equal(after.sum('holdline_turns_running'), 0)
})

t.test('a client that goes away before its answer is counted as such', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const { asked, answered } = provider.hold('Done')
  const sent = request(`${await service.listen()}/api/chat`, { method: 'POST', headers: { 'content-type': 'application/json' }, agent: false })
  sent.on('error', () => {}).end(JSON.stringify({ user_id: 'ann', message: 'Hello' }))
  await asked.opened
  sent.destroy()
  while (!((await Scrape.take(service)).sum(HTTP, { route: '/api/chat', status: '499' }) === 1)) await new Promise(resolve => setImmediate(resolve))
  answered.open()
})

t.test('turns are counted by what they came to, with time, tokens and model, and a repeat costs none again', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: { ...provider.env, MAX_QUEUED_TURNS: '1' } })
  await service.chat({ user_id: 'ann', message: 'Hello' }, { 'idempotency-key': 'a' })
  await service.chat({ user_id: 'ann', message: 'Hello' }, { 'idempotency-key': 'a' })
  const { asked, answered } = provider.hold('Done')
  const [first, waiting] = [service.say('1'), service.say('2')]
  await asked.opened
  t.match(await service.say('3'), { status: 429 })
  t.equal((await Scrape.take(service)).sum('holdline_turns_waiting'), 1)
  answered.open()
  await Promise.all([first, waiting])
  provider.answer = () => ({ status: 400 })
  t.match(await service.say('4'), { status: 502 })
  const scrape = await Scrape.take(service)
  t.equal(scrape.sum('holdline_turns_total', { outcome: 'completed', code: 'none' }), 3)
  t.equal(scrape.sum('holdline_turns_total', { outcome: 'replayed' }), 1)
  t.equal(scrape.sum('holdline_turns_total', { outcome: 'refused', code: 'TURN_QUEUE_FULL' }), 1)
  t.equal(scrape.sum('holdline_turns_total', { outcome: 'failed', code: 'AGENT_FAILED' }), 1)
  t.equal(scrape.sum('holdline_turns_total'), 6)
  t.equal(scrape.sum('holdline_turn_duration_seconds_count'), 4, 'without the one whose turn never came, and the one that had none')
  t.equal(scrape.sum('holdline_turn_wait_seconds_count'), 6)
  t.equal(scrape.sum('holdline_model_tokens_total', { direction: 'input' }), 3 * 10)
  t.equal(scrape.sum('holdline_model_tokens_total', { direction: 'output' }), 3 * 5)
  t.equal(scrape.sum('holdline_model_tokens_total', { model: 'unknown' }), 0)
})

t.test('tokens have the name of their model from the start, and the same one when they are streamed', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const name = 'holdline_model_tokens_total'
  const before = await Scrape.take(service)
  t.same(before.find(name, { direction: 'input' }), ['unknown', 'test-model'].map(model => ({ labels: { model, direction: 'input' }, value: 0 })))
  await service.say('Hello')
  const body = { user_id: 'ann', message: 'Hello' }
  await service.app.inject({ method: 'POST', url: '/api/chat', payload: body, headers: { accept: 'text/event-stream' } })
  const scrape = await Scrape.take(service)
  t.equal(scrape.sum(name, { model: 'test-model', direction: 'input' }), 2 * 10)
  t.equal(scrape.sum(name, { direction: 'input' }), 2 * 10, 'and there is no other')
})

t.test('the wait for a slot is a wait, and no part of the turn', async t => {
  const provider = await OpenAiServer.start(t)
  let now = Date.now()
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { logged, now: () => now, env: { ...provider.env, MAX_CONCURRENT_TURNS: '1' } })
  const before = await Scrape.take(service)
  for (const labels of [{ outcome: 'failed', code: 'OVERLOADED' }, { outcome: 'refused', code: 'KEY_SCOPE_MISSING' }]) {
    t.equal(before.sum('holdline_turns_total', labels), 0, 'there from the start')
  }
  const { asked, answered } = provider.hold('Done')
  const first = service.say('1')
  await asked.opened
  const second = service.say('2', { user_id: 'bob' })
  while ((await Scrape.take(service)).sum('holdline_turns_waiting') === 0) await new Promise(resolve => setImmediate(resolve))
  now += 8000
  answered.open()
  await Promise.all([first, second])
  t.equal((await Scrape.take(service)).sum('holdline_turn_wait_seconds_sum'), 8)
  const lines = logged.filter(({ msg }) => msg === 'Turn ended')
  t.match(lines, [{ waited_ms: 0, duration_ms: 8000 }, { waited_ms: 8000, duration_ms: 0 }])
})

t.test('questions are counted, and the oldest tells its age', async t => {
  let now = Date.now()
  const service = await startApp(t, { env: { APPROVAL_TIMEOUT_MINUTES: '10' }, now: () => now })
  const { body: { session_id } } = await service.say('note: one')
  now += 90_000
  await service.say('note: two', { user_id: 'bob' })
  const asked = await Scrape.take(service)
  t.equal(asked.sum('holdline_approvals_asked_total'), 2)
  t.equal(asked.sum('holdline_approvals_pending'), 2)
  t.equal(asked.sum('holdline_approval_oldest_age_seconds'), 90)
  await service.approve({ user_id: 'ann', session_id, approved: false })
  t.equal((await Scrape.take(service)).sum('holdline_approval_oldest_age_seconds'), 0)
  now += 11 * 60_000
  await service.say('Hello', { user_id: 'bob' })
  const scrape = await Scrape.take(service)
  t.equal(scrape.sum('holdline_approvals_decided_total', { decision: 'reject', route: 'approve' }), 1)
  t.equal(scrape.sum('holdline_approvals_decided_total'), 1)
  t.equal(scrape.sum('holdline_approvals_expired_total'), 1)
  t.equal(scrape.sum('holdline_approvals_pending'), 0)
})

t.test('sessions are counted by platform, and those that end by the reason', async t => {
  let now = Date.now()
  const service = await startApp(t, { now: () => now })
  const { body: { session_id } } = await service.say('Hello')
  await service.say('Hello', { platform: 'telegram' })
  for (let index = 0; index < 25; index++) {
    const own = { sessionId: `s-${index}`, userId: `p${index}_x`, platform: `p${index}` }
    await service.app.sessionStore.create(makeSession({ ...own, createdAtMs: now, lastActivityMs: now }))
  }
  const full = await Scrape.take(service)
  t.equal(full.sum('holdline_sessions', { platform: 'telegram' }), 1)
  t.equal(full.sum('holdline_sessions'), 27)
  t.ok(full.find('holdline_sessions').length <= 21, 'whatever clients call their platforms')
  t.ok(full.sum('holdline_sessions', { platform: 'other' }) > 0)
  await service.say('/new', { platform: 'telegram' })
  await service.request({ method: 'DELETE', url: `/api/sessions/${session_id}` })
  now += 2 * 60 * 60_000
  const job = service.app.scheduler.getById('session-cleanup')
  if (job instanceof SimpleIntervalJob) await job.executeAsync()
  const scrape = await Scrape.take(service)
  t.equal(scrape.sum('holdline_sessions_removed_total', { reason: 'new' }), 1)
  t.equal(scrape.sum('holdline_sessions_removed_total', { reason: 'deleted' }), 1)
  t.equal(scrape.sum('holdline_sessions_removed_total', { reason: 'expired' }), 26)
  t.equal(scrape.sum('holdline_sweeps_total', { outcome: 'completed' }), 1)
  t.equal(scrape.sum('holdline_sweep_duration_seconds_count'), 1)
  t.equal(scrape.sum('holdline_conversations_swept_total') > 0, true)
  t.equal(scrape.sum('holdline_sessions'), 0)
})

t.test('what a start could not read, and what it found expired, is counted', async t => {
  const dir = makeFolder(t)
  writeFileSync(join(dir, 'sessions.csv'), `${HEADER}torn\nold,api_ann,api,t,2020-01-01T00:00:00.000Z,2020-01-01T00:00:00.000Z,,{}\n`)
  const scrape = await Scrape.take(await startApp(t, { dir }))
  t.equal(scrape.sum('holdline_store_rejected_rows_total'), 1)
  t.equal(scrape.sum('holdline_sessions_removed_total', { reason: 'expired' }), 1)
})

t.test('a store that cannot be read costs its own figures, and no others', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { logged })
  await service.say('Hello')
  t.intercept(service.app.sessionStore, 'count', { value: async () => { throw new Error('gone') }, configurable: true })
  for (let scrapes = 0; scrapes < 2; scrapes++) {
    const scrape = await Scrape.take(service)
    t.ok(Number.isNaN(scrape.sum('holdline_sessions', { platform: 'api' })))
    t.ok(Number.isNaN(scrape.sum('holdline_approvals_pending')))
    t.equal(scrape.sum('holdline_turns_total'), 1)
  }
  t.equal(logged.filter(({ level }) => level === 40).length, 1, 'and is said once')
})
