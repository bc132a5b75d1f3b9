import t, { type Test } from 'tap'
import { startApp, type Answer, type TestApp } from '../fixtures/app.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'

async function start (t: Test, env: Record<string, string> = {}) {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: { ...provider.env, MAX_CONCURRENT_TURNS: '1', ...env } })
  return { provider, service }
}

/** Asks, and resolves when so many turns wait for others to end; the answer comes later. */
async function wait (service: TestApp, waiting: number, ask: () => Promise<Answer>): Promise<{ readonly answer: Promise<Answer> }> {
  const answer = ask()
  while (service.app.conversation.waitingCount < waiting) await new Promise(resolve => setImmediate(resolve))
  return { answer }
}

function countTurns ({ app: { conversation } }: TestApp) {
  return { running: conversation.runningCount, waiting: conversation.waitingCount }
}

async function findSession (service: TestApp, userId: string): Promise<string> {
  return (await service.get(`/api/sessions/${userId}`)).body.sessions[0]?.session_id ?? ''
}

t.test('turns of several people run at once up to the limit, the others wait and are answered', async t => {
  const { provider, service } = await start(t, { MAX_CONCURRENT_TURNS: '2' })
  const { asked, answered } = provider.hold('Done')
  const first = [service.say('1', { user_id: 'a' }), service.say('1', { user_id: 'b' })]
  await asked.opened
  const third = await wait(service, 1, async () => await service.say('1', { user_id: 'c' }))
  t.same(countTurns(service), { running: 2, waiting: 1 })
  t.equal(provider.requests.length, 2)
  answered.open()
  t.same((await Promise.all([...first, third.answer])).map(answer => answer.status), [200, 200, 200])
  t.same(countTurns(service), { running: 0, waiting: 0 })
})

t.test('messages that wait for their session take no place', async t => {
  const { provider, service } = await start(t, { MAX_CONCURRENT_TURNS: '2' })
  const { asked, answered } = provider.hold('Done')
  const first = service.say('1')
  await asked.opened
  const queued = [service.say('2'), service.say('3')]
  const others = service.say('1', { user_id: 'bob' })
  while (provider.requests.length < 2) await new Promise(resolve => setImmediate(resolve))
  t.same(countTurns(service), { running: 2, waiting: 2 }, 'those of one session wait in its queue')
  answered.open()
  t.same((await Promise.all([first, ...queued, others])).map(answer => answer.status), [200, 200, 200, 200])
})

t.test('when too many wait, more are refused with 503: nothing of their session changes, and the key is free', async t => {
  const { provider, service } = await start(t)
  const { body: { session_id } } = await service.say('Hello', { user_id: 'late' })
  const before = (await service.get('/api/sessions/late')).body
  const { asked, answered } = provider.hold('Done')
  const running = service.say('1', { user_id: 'a' })
  await asked.opened
  const waiting = []
  for (const [index, userId] of ['b', 'c', 'd', 'e'].entries()) waiting.push(await wait(service, index + 1, async () => await service.say('1', { user_id: userId })))
  const late = { user_id: 'late', message: 'Important', metadata: { mood: 'bad' } }
  t.match(await service.chat(late, { 'idempotency-key': 'k' }), {
    status: 503, headers: { 'retry-after': 5 }, body: { code: 'OVERLOADED', status: 'error', session_id, user_id: 'api_late', requires_approval: false }
  })
  const streamed = await service.chat(late, { accept: 'text/event-stream' })
  t.match(streamed, { status: 503, headers: { 'content-type': /json/ }, body: { code: 'OVERLOADED' } }, 'as a stream, too')
  t.same((await service.get('/api/sessions/late')).body, before)
  answered.open()
  await running
  t.same((await Promise.all(waiting.map(async ({ answer }) => await answer))).map(answer => answer.status), [200, 200, 200, 200])
  const again = await service.chat({ ...late, message: 'Not so important' }, { 'idempotency-key': 'k' })
  t.match(again, { status: 200, headers: { 'idempotency-replayed': undefined } })
})

t.test('a decision that is refused leaves the question open', async t => {
  const { provider, service } = await start(t)
  provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user' ? { toolCalls: [{ name: 'save_note', args: { text: 'x' } }] } : { text: 'Saved' }
  const { body: { session_id, approval_data: question } } = await service.say('Save it', { user_id: 'late' })
  const { asked, answered } = provider.hold('Done')
  const running = service.say('1', { user_id: 'a' })
  await asked.opened
  const waiting = []
  for (const [index, userId] of ['b', 'c', 'd', 'e'].entries()) waiting.push(await wait(service, index + 1, async () => await service.say('1', { user_id: userId })))
  const decision = { user_id: 'late', session_id, approved: true }
  t.match(await service.approve(decision), { status: 503, body: { code: 'OVERLOADED' } })
  t.equal((await service.get('/api/sessions/late')).body.sessions[0]?.pending_approval?.approval_id, question?.approval_id)
  answered.open()
  await running
  await Promise.all(waiting.map(async ({ answer }) => await answer))
  t.match(await service.approve(decision), { status: 200, body: { message: 'Done' } })
})

t.test('a turn that waits for others can be cancelled, and never reaches the agent', async t => {
  const { provider, service } = await start(t)
  const { asked, answered } = provider.hold('Done')
  const running = service.say('1', { user_id: 'a' })
  await asked.opened
  const waiting = await wait(service, 1, async () => await service.say('1', { user_id: 'b' }))
  const cancelled = await service.request({ method: 'POST', url: `/api/sessions/${await findSession(service, 'b')}/cancel` })
  t.match(cancelled, { status: 200, body: { status: 'cancelled' } })
  t.match(await waiting.answer, { status: 409, body: { code: 'TURN_CANCELLED' } })
  t.same(countTurns(service), { running: 1, waiting: 0 })
  answered.open()
  await running
  t.equal(provider.requests.length, 1)
})

t.test('the time of a turn begins when it runs, not when it waits', async t => {
  const { provider, service } = await start(t, { AGENT_TIMEOUT_SECONDS: '2' })
  // The agent's own time ends the first one, after which the second has all of its own.
  const asked = makeGate()
  provider.answer = () => {
    asked.open()
    return 'hang'
  }
  const first = service.say('1', { user_id: 'a' })
  await asked.opened
  const second = await wait(service, 1, async () => await service.say('1', { user_id: 'b' }))
  provider.answer = () => ({ text: 'Done' })
  t.equal((await first).status, 504)
  t.match(await second.answer, { status: 200, body: { message: 'Done' } })
})

t.test('a turn looks whether it can be saved when it runs, and its time in the log and in the metrics begins then', async t => {
  const logged: Record<string, unknown>[] = []
  const provider = await OpenAiServer.start(t)
  let now = Date.now()
  const service = await startApp(t, { env: { ...provider.env, MAX_CONCURRENT_TURNS: '1' }, logged, now: () => now })
  const { asked, answered } = provider.hold('Done')
  const first = service.say('1', { user_id: 'a' })
  await asked.opened
  const second = await wait(service, 1, async () => await service.say('1', { user_id: 'b' }))
  now += 7000
  const { agent } = service.app
  const { status } = agent
  agent.status = () => ({ canSave: false, reason: 'The disk is full' })
  answered.open()
  await first
  t.match(await second.answer, { status: 503, body: { code: 'CONVERSATIONS_UNAVAILABLE' } })
  t.equal(provider.requests.length, 1)
  agent.status = status
  const ended = logged.filter(line => line.msg === 'Turn ended')
  t.match(ended, [{ outcome: 'completed', waited_ms: 0, duration_ms: 7000 }, { outcome: 'failed', waited_ms: 7000, duration_ms: 0 }])
})

t.test('a stop ends the wait', async t => {
  const { provider, service } = await start(t, { SHUTDOWN_GRACE_SECONDS: '0' })
  provider.answer = () => 'hang'
  const first = service.say('1', { user_id: 'a' })
  const second = await wait(service, 1, async () => await service.say('1', { user_id: 'b' }))
  await service.app.close()
  for (const answer of await Promise.all([first, second.answer])) t.match(answer, { status: 503, body: { code: 'SERVICE_STOPPING' } })
  t.same(countTurns(service), { running: 0, waiting: 0 })
})

t.test('/new and the end of a session need no more than their place', async t => {
  const { service } = await start(t)
  await service.say('Hello')
  const [fresh, next] = await Promise.all([service.say('/new'), service.say('Hello again')])
  t.same([fresh.status, next.status], [200, 200])
  t.equal(next.body.session_id, fresh.body.session_id)
  t.equal((await service.request({ method: 'DELETE', url: `/api/sessions/${next.body.session_id}` })).status, 200)
  t.same(countTurns(service), { running: 0, waiting: 0 })
})
