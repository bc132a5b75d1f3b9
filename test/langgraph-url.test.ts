import t from 'tap'
import { startApp } from './fixtures/app.ts'
import { FakeLangGraph } from './fixtures/fake-langgraph.ts'
import { FakeThread, IS_RUN } from './fixtures/fake-thread.ts'
import { makeFolder } from './fixtures/folder.ts'
import { LangGraphProcess } from './fixtures/langgraph-server.ts'

t.test('with the agent on a LangGraph server', async t => {
  const server = await LangGraphProcess.start(t)
  const env = { LANGGRAPH_URL: server.url }

  t.test('a person talks to it, and it remembers', async t => {
    const app = await startApp(t, { env })
    t.match(await app.say('hello'), { status: 200, body: { status: 'completed', message: /^You said: hello/ } })
    const { body } = await app.say('what did I say first?')
    t.match(body.message, /"hello"/)
    const { messages } = (await app.get(`/api/sessions/${body.session_id}/messages`)).body
    t.match(messages, [
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: /^You said: hello/ },
      { role: 'user', content: 'what did I say first?' },
      { role: 'assistant', content: body.message }
    ])
    t.equal(messages.length, 4)
    t.match((await app.get('/health')).body, { status: 'healthy', agent: { type: 'remote' } })
  })

  t.test('a question outlives a restart of the service, and its answer resumes the agent once', async t => {
    const dir = makeFolder(t)
    const first = await startApp(t, { dir, env })
    const asked = await first.say('note: milk')
    t.match(asked.body, { status: 'waiting_approval', approval_data: { tool_name: 'save_note', args: { text: 'milk' } } })
    await first.app.close()
    const second = await startApp(t, { dir, env })
    const answer = { user_id: 'ann', session_id: asked.body.session_id, approval_id: asked.body.approval_data?.approval_id, approved: true }
    const decided = await Promise.all([second.approve(answer), second.approve(answer)])
    t.same(decided.map(({ status }) => status).sort(), [200, 409])
    t.match(decided.find(({ status }) => status === 200)?.body, { status: 'completed', message: /milk/ })
  })

  t.test('an agent that takes too long is given up, and the next message works', async t => {
    const app = await startApp(t, { env: { ...env, AGENT_TIMEOUT_SECONDS: '2' } })
    t.match(await app.say('hang'), { status: 504, body: { code: 'AGENT_TIMEOUT' } })
    t.match(await app.say('hello'), { status: 200, body: { message: /^You said: hello/ } })
  })
})

t.test('a server that is down is no reason not to start; messages are told of it, and the log tells why', async t => {
  const logged: Record<string, unknown>[] = []
  const app = await startApp(t, { env: { LANGGRAPH_URL: await FakeLangGraph.nowhere(), LANGGRAPH_API_KEY: 'key-of-ours' }, logged })
  t.match(await app.say('hello'), { status: 502, body: { code: 'AGENT_FAILED', status: 'error' } })
  const log = JSON.stringify(logged)
  t.match(log, /look at LANGGRAPH_URL/)
  t.match(log, /ECONNREFUSED/)
  t.notMatch(log, /key-of-ours/)
})

t.test('a server that takes a conversation and says nothing holds no message beyond its time', async t => {
  const fake = await FakeLangGraph.start(t, ({ path }) => path.startsWith('/assistants') ? [200, [{}]] : undefined)
  const app = await startApp(t, { env: { LANGGRAPH_URL: fake.url, AGENT_TIMEOUT_SECONDS: '0.3' } })
  const startedAt = performance.now()
  t.match(await app.say('hello'), { status: 504, body: { code: 'AGENT_TIMEOUT' } })
  t.match(await app.chat({ user_id: 'ann', message: 'hello' }, { 'idempotency-key': 'one' }), { status: 504, body: { code: 'AGENT_TIMEOUT' } })
  t.ok(performance.now() - startedAt < 3000)
})

t.test('a turn that waits for such a server can be cancelled', async t => {
  let ask = () => {}
  const asked = new Promise<void>(resolve => { ask = resolve })
  const fake = await FakeLangGraph.start(t, ({ path }) => {
    if (path.startsWith('/assistants')) return [200, [{}]]
    ask()
    return undefined
  })
  const app = await startApp(t, { env: { LANGGRAPH_URL: fake.url, AGENT_TIMEOUT_SECONDS: '60' } })
  const turn = app.say('hello')
  await asked
  const [session] = (await app.get('/api/sessions/ann')).body.sessions
  t.match(await app.request({ method: 'POST', url: `/api/sessions/${session?.session_id}/cancel`, payload: {} }), { status: 200 })
  t.match(await turn, { status: 409, body: { code: 'TURN_CANCELLED' } })
})

t.test('a message with a key whose run a crash left in the queue of the server is answered by that run', async t => {
  const thread = await FakeThread.start(t)
  thread.answer = ({ path, body }) => {
    if (!IS_RUN.test(path)) return 'as ever'
    // The earlier process took it a second before: the key is the same, the time is not.
    const { input: { messages: [{ id }] } } = JSON.parse(body)
    const earlier = (Number.parseInt(String(id).replace('-', '').slice(0, 12), 16) - 1000).toString(16).padStart(12, '0')
    const own = `${earlier.slice(0, 8)}-${earlier.slice(8)}${String(id).slice(13)}`
    thread.messages = [{ type: 'human', id: own, content: 'pay' }, { type: 'ai', id: 'a1', content: 'paid once' }]
    return [422, { message: 'Thread is already running a task' }]
  }
  const app = await startApp(t, { env: { LANGGRAPH_URL: thread.fake.url } })
  t.match(await app.chat({ user_id: 'ann', message: 'pay' }, { 'idempotency-key': 'one' }), { status: 200, body: { message: 'paid once' } })
  t.equal(thread.fake.count('POST', IS_RUN), 1)
})
