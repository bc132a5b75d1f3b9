import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { EventClient } from './fixtures/event-client.ts'
import { makeFolder } from './fixtures/folder.ts'
import { makeGate } from './fixtures/gate.ts'
import { OpenAiServer } from './fixtures/openai-server.ts'
import { Service } from './fixtures/service.ts'

t.test('after Ctrl-C and a new start the same person gets the same session, and the agent still knows what was said', async t => {
  const dir = makeFolder(t)
  const first = await Service.start(t, dir)
  const { body } = await first.say('I am Ann')
  first.kill('SIGINT')
  t.match(await first.exit, { code: 0, signal: null, log: /Stopping on SIGINT.*Stopped/s })
  t.match(readFileSync(join(dir, 'sessions.csv'), 'utf8').split('\n')[1], new RegExp(`^${body.session_id},api_test_123,api,`))
  t.notOk(existsSync(join(dir, 'conversations.sqlite-wal')), 'the conversations are one file')

  const second = await Service.start(t, dir)
  t.ok(await second.logged(/Loaded 1 sessions from sessions\.csv/))
  const again = await second.say('what did I say first?')
  t.equal(again.body.session_id, body.session_id)
  t.match(again.body.message, '"I am Ann"')
})

t.test('a question is answered after a restart and after kill -9', async t => {
  const dir = makeFolder(t)
  const first = await Service.start(t, dir)
  const asked = await first.say('note: one')
  first.kill('SIGTERM')
  t.equal((await first.exit).code, 0)
  const second = await Service.start(t, dir)
  t.match((await second.say('yes', { approval_id: asked.body.approval_data?.approval_id })).body.message, 'Saved the note: one')
  const askedAgain = await second.say('note: two')
  second.kill('SIGKILL')
  t.equal((await second.exit).signal, 'SIGKILL')
  const third = await Service.start(t, dir)
  const decision = { user_id: 'test_123', session_id: askedAgain.body.session_id, approval_id: askedAgain.body.approval_data?.approval_id, approved: true }
  t.match(await third.post('/api/approve', decision), { status: 200, body: { message: /Saved the note: two/ } })
  t.match((await third.say('notes')).body.message, 'Your notes:\n1. one\n2. two\n(offline')
})

t.test('the file of the Python backend loads whole, and what it holds is written back', async t => {
  // The fixture is of 2025; a long timeout makes its sessions recent.
  const python = readFileSync(new URL('fixtures/python-backend.csv', import.meta.url), 'utf8')
  const dir = makeFolder(t, { 'sessions.csv': python })
  const env = { SESSION_TIMEOUT_MINUTES: '52560000', CLEANUP_INTERVAL_MINUTES: '4.35' }
  const service = await Service.start(t, dir, env)
  const count = python.trim().split('\n').length - 1
  t.ok(await service.logged(new RegExp(`"rejected":0.*Loaded ${count} sessions`)))
  const listed = (await service.request('/api/sessions')).body.active_sessions
  t.equal(listed.length, count)
  t.match(listed.find(session => session.session_id === 's-5')?.metadata, { user_profile: { name: 'Zoë 🚀 “quoted”', locale: '日本' } })
  t.match(listed.find(session => session.session_id === '11111111-2222-4333-8444-555555555555')?.pending_approval, {
    tool_name: 'apply_edit', args: { text: 'He said "hi", then left;\nsecond line' }
  })
  const { body } = await service.post('/api/chat', { user_id: '456', platform: 'telegram', message: 'Hello' })
  t.equal(body.session_id, 'abc-123', 'the person continues where the old backend left off')
  service.kill('SIGTERM')
  await service.exit
  const written = readFileSync(join(dir, 'sessions.csv'), 'utf8')
  t.equal(written.trim().split('\n').length, count + 1, 'one session is one line')
  t.match(written, '15000000000.0', 'what was not changed keeps its own text')
  const next = await Service.start(t, dir, env)
  const strip = (sessions: typeof listed) => sessions.filter(session => session.session_id !== 'abc-123')
  t.same(strip((await next.request('/api/sessions')).body.active_sessions), strip(listed))
})

t.test('a signal lets the running turn finish, refuses new ones with 503, and exits 0', async t => {
  const provider = await OpenAiServer.start(t)
  const { asked, answered } = provider.hold('Finished')
  const dir = makeFolder(t)
  const service = await Service.start(t, dir, { ...provider.env, SHUTDOWN_GRACE_SECONDS: '60' })
  const turn = service.say('Think')
  await asked.opened
  service.kill('SIGTERM')
  await service.logged(/Stopping on SIGTERM/)
  t.match(await service.request('/health/ready'), { status: 503, body: { reason: 'stopping' } })
  t.match(await service.request('/health/live'), { status: 200 })
  const refused = await service.say('Late', { user_id: 'bob' })
  t.match(refused, { status: 503, body: { code: 'SERVICE_STOPPING', status: 'error' } })
  t.ok(Number(refused.headers['retry-after']) > 0)
  answered.open()
  const { status, body } = await turn
  t.match({ status, body }, { status: 200, body: { message: 'Finished' } })
  t.equal((await service.exit).code, 0)
  t.match(readFileSync(join(dir, 'sessions.csv'), 'utf8'), body.session_id)
})

for (const grace of ['4', '0']) {
  t.test(`a turn that does not finish within a grace of ${grace} s is cancelled with 503, and the exit is still 0`, async t => {
    const provider = await OpenAiServer.start(t)
    const reached = makeGate()
    provider.answer = () => {
      reached.open()
      return 'hang'
    }
    const service = await Service.start(t, makeFolder(t), { ...provider.env, SHUTDOWN_GRACE_SECONDS: grace })
    const turn = service.say('Think')
    await reached.opened
    const startedAt = performance.now()
    service.kill('SIGTERM')
    t.match(await turn, { status: 503, body: { code: 'SERVICE_STOPPING', status: 'error' } })
    t.equal((await service.exit).code, 0)
    t.comment(`stopped within ${Math.round(performance.now() - startedAt)} ms of a grace of ${grace} s`)
  })
}

t.test('who follows a stream is told of a stop: a turn that ends in time brings its answer, one that does not an error', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await Service.start(t, makeFolder(t), provider.env)
  const asked = makeGate()
  const answered = makeGate()
  provider.answer = async () => {
    provider.answer = () => {
      asked.open()
      return 'hang'
    }
    await answered.opened
    return { text: 'In time' }
  }
  const quick = await EventClient.open(`${service.url}/api/chat`, { user_id: 'ann', message: 'Quick' })
  const slow = await EventClient.open(`${service.url}/api/chat`, { user_id: 'bob', message: 'Slow' })
  const stalled = connect({ host: '127.0.0.1', port: Number(new URL(service.url).port) }).pause()
  const body = JSON.stringify({ user_id: 'cem', message: 'Stalled' })
  stalled.write(`POST /api/chat HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\naccept: text/event-stream\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  await asked.opened
  const startedAt = performance.now()
  service.kill('SIGTERM')
  await service.logged(/Stopping/)
  answered.open()
  t.match((await quick.rest()).at(-1), { name: 'message', data: { message: 'In time' } })
  t.match((await slow.rest()).at(-1), { name: 'error', data: { statusCode: 503, code: 'SERVICE_STOPPING', status: 'error', user_id: 'api_bob' } })
  const { stderr, ...exit } = await service.exit
  t.match(exit, { code: 0, log: /Stopped/ })
  t.equal(stderr, '', 'Node.js warns of nothing')
  const ms = Math.round(performance.now() - startedAt)
  t.ok(ms < 4000, `stopped within ${ms} ms of a grace of 4000 ms`)
  stalled.destroy()
})

t.test('a second signal ends at once', async t => {
  const provider = await OpenAiServer.start(t)
  const reached = makeGate()
  provider.answer = () => {
    reached.open()
    return 'hang'
  }
  const service = await Service.start(t, makeFolder(t), { ...provider.env, SHUTDOWN_GRACE_SECONDS: '600' })
  const turn = service.say('Think').catch(() => 'cut off')
  await reached.opened
  service.kill('SIGTERM')
  await service.logged(/Stopping/)
  service.kill('SIGTERM')
  t.equal((await service.exit).code, 1)
  t.equal(await turn, 'cut off')
})

t.test('a start that cannot be ends in one line that says why, and leaves everything as it is', async t => {
  const cases: [string, Record<string, string>, RegExp][] = [
    ['a bad setting', { PORT: 'abc' }, /^PORT must be an integer.*"abc"\n$/],
    ['an address that cannot be', { HOST: 'no.such.host.invalid', AUTH: 'off' }, /^HOST and PORT must be an address[^\n]*no\.such\.host[^\n]*\n$/],
    ['a missing key', { MODEL: 'openai:gpt-5-mini' }, /^OPENAI_API_KEY must be set.*\n$/],
    ['an unknown provider', { MODEL: 'acme:x' }, /^MODEL must name one of the providers.*acme.*\n$/],
    ['a bad secret', { OPENAI_API_KEY: 'hunter two' }, /^OPENAI_API_KEY must be(?!.*hunter).*\n$/]
  ]
  for (const [what, env, line] of cases) {
    const dir = makeFolder(t)
    const { code, stderr, log } = await Service.launch(t, dir, env).exit
    t.equal(code, 1, what)
    t.match(stderr, line, what)
    t.notMatch(log, 'Server listening')
  }
  const dir = makeFolder(t, { 'sessions.csv': 'this is;no session file\n1;2\n' })
  const refused = await Service.launch(t, dir).exit
  t.match(refused, { code: 1, stderr: /^[^\n]*sessions\.csv[^\n]*\n$/ })
  t.equal(readFileSync(join(dir, 'sessions.csv'), 'utf8'), 'this is;no session file\n1;2\n')
})

t.test('a second process on the same file stops at start with one line, and after kill -9 the next takes over', async t => {
  const dir = makeFolder(t)
  const first = await Service.start(t, dir)
  await first.say('Hello')
  const second = await Service.launch(t, dir).exit
  t.match(second, { code: 1, stderr: /^[^\n]*in use by another process[^\n]*\n$/ })
  t.equal((await first.say('Still here')).status, 200)
  first.kill('SIGKILL')
  await first.exit
  const third = await Service.start(t, dir)
  t.match((await third.say('what did I say first?')).body.message, '"Hello"')
})

t.test('.env is read, the environment beats it, and an empty value counts as not set', async t => {
  const dir = makeFolder(t)
  await writeFile(join(dir, '.env'), 'SESSIONS_CSV_PATH=from-dotenv.csv\nAPI_KEY=key-of-dotenv\nCONVERSATIONS_PATH=kept.sqlite\n')
  const service = await Service.start(t, dir, { API_KEY: 'key-of-environment', CONVERSATIONS_PATH: '' })
  t.ok(existsSync(join(dir, 'from-dotenv.csv')))
  t.ok(existsSync(join(dir, 'kept.sqlite')))
  t.equal((await service.say('Hello')).status, 401)
  t.equal((await service.request('/api/sessions', { headers: { authorization: 'Bearer key-of-environment' } })).status, 200)
  t.equal((await service.request('/health')).status, 200)
})
