import t from 'tap'
import { startApp } from './fixtures/app.ts'
import { OpenAiServer } from './fixtures/openai-server.ts'

type Line = Record<string, unknown>

/** What the log says of one request. */
function linesOf (logged: readonly Line[], requestId: string): Line[] {
  return logged.filter(line => line.request_id === requestId)
}

t.test('a turn has one line: its ids, what it came to and how long it took, nothing that was said and nobody\'s name', async t => {
  const logged: Line[] = []
  const service = await startApp(t, { logged })
  const { body } = await service.chat({ user_id: 'secretann', message: 'note: secretword' }, { 'x-request-id': 'one' })
  const [line, ...others] = linesOf(logged, 'one')
  t.same(others, [])
  t.match(line, {
    level: 30,
    msg: 'Turn ended',
    route: 'chat',
    outcome: 'waiting_approval',
    status: 200,
    duration_ms: Number,
    waited_ms: Number,
    session_id: body.session_id,
    thread_id: /^[\w-]{36}$/,
    platform: 'api',
    approval_id: body.approval_data?.approval_id,
    model: 'offline'
  })
  t.notMatch(JSON.stringify(logged), /secret/)
})

t.test('the line of a decision names its route, that of an answer its tokens', async t => {
  const provider = await OpenAiServer.start(t)
  const logged: Line[] = []
  const service = await startApp(t, { logged, env: provider.env })
  const { body: { session_id } } = await service.chat({ user_id: 'ann', message: 'Hello' }, { 'x-request-id': 'chat' })
  await service.approve({ user_id: 'ann', session_id, approved: true }, { 'x-request-id': 'approve' })
  t.match(linesOf(logged, 'chat'), [{ outcome: 'completed', input_tokens: 10, output_tokens: 5 }])
  t.match(linesOf(logged, 'approve'), [{ route: 'approve', outcome: 'refused', code: 'APPROVAL_NOT_PENDING', status: 409, session_id }])
})

t.test('a turn that is refused has its line and no other, also while it waits, before it has a session, and in a stream', async t => {
  const provider = await OpenAiServer.start(t)
  const logged: Line[] = []
  const service = await startApp(t, { logged, env: { ...provider.env, MAX_QUEUED_TURNS: '0' } })
  const { asked, answered } = provider.hold('Done')
  const running = service.say('Hello')
  await asked.opened
  await service.chat({ user_id: 'ann', message: 'Again' }, { 'x-request-id': 'full' })
  await service.chat({ user_id: 'ann', message: 'Again' }, { 'x-request-id': 'stream', accept: 'text/event-stream' })
  await service.chat({ user_id: 'ann', message: 'Again', session_id: 'nowhere' }, { 'x-request-id': 'nowhere', 'idempotency-key': 'k' })
  answered.open()
  await running
  t.match(linesOf(logged, 'full'), [{ msg: 'Turn ended', outcome: 'refused', code: 'TURN_QUEUE_FULL', status: 429, session_id: String }])
  t.match(linesOf(logged, 'stream'), [{ msg: 'Turn ended', outcome: 'refused', code: 'TURN_QUEUE_FULL' }])
  t.match(linesOf(logged, 'nowhere'), [{ msg: 'Turn ended', outcome: 'refused', code: 'SESSION_NOT_FOUND', status: 404 }])
  for (const id of ['full', 'stream', 'nowhere']) {
    t.equal(linesOf(logged, id).length, 1, id)
    t.notOk('duration_ms' in (linesOf(logged, id)[0] ?? {}), 'its turn never came')
  }
})

t.test('a turn that fails has its line and, with the cause, the line of the error', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = () => ({ status: 400 })
  const logged: Line[] = []
  const service = await startApp(t, { logged, env: provider.env })
  await service.chat({ user_id: 'ann', message: 'Hello' }, { 'x-request-id': 'one' })
  const lines = linesOf(logged, 'one')
  t.equal(lines.length, 2)
  t.match(lines[0], { level: 30, msg: 'Turn ended', outcome: 'failed', code: 'AGENT_FAILED', status: 502, duration_ms: Number })
  t.match(lines[1], { level: 50, code: 'AGENT_FAILED', err: { message: String, stack: String } })
})

t.test('a request that never became a turn is refused in one line of its own', async t => {
  const logged: Line[] = []
  const service = await startApp(t, { logged })
  await service.chat({ user_id: 'ann' }, { 'x-request-id': 'one' })
  t.match(linesOf(logged, 'one'), [{ msg: 'Request refused', code: 'REQUEST_INVALID' }])
  t.equal(linesOf(logged, 'one').length, 1)
})

t.test('a repeat that gets the first answer has a line that says so', async t => {
  const logged: Line[] = []
  const service = await startApp(t, { logged })
  for (const id of ['one', 'two']) await service.chat({ user_id: 'ann', message: 'Hello' }, { 'x-request-id': id, 'idempotency-key': 'k' })
  t.match(linesOf(logged, 'one'), [{ outcome: 'completed' }])
  t.match(linesOf(logged, 'two'), [{ msg: 'Turn ended', outcome: 'replayed', status: 200, session_id: linesOf(logged, 'one')[0]?.session_id }])
  t.equal(linesOf(logged, 'two').length, 1)
})
