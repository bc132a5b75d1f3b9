import t from 'tap'
import { EventClient } from './fixtures/event-client.ts'
import { FakeLangGraph } from './fixtures/fake-langgraph.ts'
import { FakeThread, IS_RUN } from './fixtures/fake-thread.ts'
import { makeFolder } from './fixtures/folder.ts'
import { OpenAiServer } from './fixtures/openai-server.ts'
import { Service } from './fixtures/service.ts'
import { drawTree, readAttribute, TraceCollector } from './fixtures/trace-collector.ts'

const KEY = 'key-of-the-service'
const authorization = `Bearer ${KEY}`
const INGEST = 'ingest key, which is a secret'

/** A trace of the caller's own, whose id tells its requests apart. */
function makeTrace (digit: string): { id: string, headers: Record<string, string> } {
  const id = digit.repeat(32)
  return { id, headers: { authorization, traceparent: `00-${id}-${'f'.repeat(16)}-01` } }
}

t.test('a request is one trace, from the request to the call of the model and the write of the store; nothing in it is what people say', async t => {
  const provider = await OpenAiServer.start(t)
  const collector = await TraceCollector.start(t)
  const service = await Service.start(t, makeFolder(t), {
    ...provider.env, ...collector.env, API_KEY: KEY, OTEL_SERVICE_NAME: 'my bot', OTEL_EXPORTER_OTLP_HEADERS: `x-ingest=${encodeURIComponent(INGEST)}`
  })
  const chat = async (trace: ReturnType<typeof makeTrace>, message: string, user = 'canary-user') =>
    await service.post('/api/chat', { user_id: user, message, metadata: { user_profile: { name: 'canary-name' }, note: 'canary-metadata' } }, trace.headers)

  provider.answer = ({ body: { messages } }) => messages.at(-1)?.role === 'user'
    ? { text: 'canary-said', toolCalls: [{ name: 'save_note', args: { text: 'canary-args' } }] }
    : { text: 'canary-answer' }
  const asked = makeTrace('1')
  t.match(await chat(asked, 'canary-message'), { status: 200, body: { status: 'waiting_approval' } })
  const question = await collector.trace(asked.id, 'POST /api/chat')
  t.same(drawTree(question), [
    'POST /api/chat', '  turn', '    agent pending', '    agent turn', '      chat test-model', '      conversation write', '      conversation write',
    '    session_store continue_or_create', '    session_store update', '    session_store update', '    wait for turn'
  ])
  const [request] = question.filter(({ parentSpanId }) => parentSpanId === 'f'.repeat(16))
  t.equal(request?.name, 'POST /api/chat', 'the caller\'s trace is carried on')
  const call = question.find(({ name }) => name.startsWith('chat '))
  t.type(Number(readAttribute(call, 'gen_ai.usage.input_tokens')), 'number')
  t.equal(readAttribute(call, 'gen_ai.request.model'), 'test-model')
  const turn = question.find(({ name }) => name === 'turn')
  t.equal(readAttribute(turn, 'outcome'), 'waiting_approval')
  t.type(readAttribute(turn, 'session_id'), 'string')
  t.type(readAttribute(turn, 'thread_id'), 'string')

  const decided = makeTrace('2')
  t.match(await chat(decided, 'yes'), { status: 200, body: { message: 'canary-answer' } })
  t.same(drawTree(await collector.trace(decided.id, 'POST /api/chat')), [
    'POST /api/chat', '  turn', '    agent pending', '    agent resume', '      chat test-model', '      conversation write', '      execute_tool save_note',
    '    session_store update', '    session_store update', '    wait for turn'
  ])

  const streamed = makeTrace('3')
  provider.answer = () => ({ text: 'canary-answer in several words' })
  const client = await EventClient.open(`${service.url}/api/chat`, { user_id: 'canary-other', message: 'canary-message' }, streamed.headers)
  t.equal((await client.rest()).at(-1)?.name, 'message')
  const tree = drawTree(await collector.trace(streamed.id, 'turn'))
  t.ok(tree.includes('      chat test-model'))
  t.equal(tree.filter(line => line.trim() === 'turn').length, 1)

  const failed = makeTrace('4')
  provider.answer = () => ({ status: 400 })
  t.match(await chat(failed, 'canary-message', 'canary-third'), { status: 502 })
  const failure = await collector.trace(failed.id, 'POST /api/chat')
  t.equal(readAttribute(failure.find(({ name }) => name === 'turn'), 'outcome'), 'AGENT_FAILED')
  t.same(failure.filter(({ status }) => status.code === 2).map(({ name }) => name).sort(), ['POST /api/chat', 'agent turn', 'chat test-model', 'turn'])
  t.match(readAttribute(failure.find(({ name }) => name.startsWith('chat ')), 'error.type'), /^[A-Z]\w+$/)

  const refused = makeTrace('5')
  const unreadable = { method: 'POST', body: '{"user_id": canary', headers: { ...refused.headers, 'content-type': 'application/json' } }
  t.equal((await service.request('/api/chat', unreadable)).status, 400)
  const [refusal] = await collector.trace(refused.id, 'POST /api/chat')
  t.equal(refusal?.status.code, 0, 'what is refused is no fault of the service')
  t.equal(readAttribute(refusal, 'error.type'), 'BODY_NOT_JSON')
  const read = makeTrace('6')
  await service.request('/api/sessions/api_canary-user?a=canary-query', { headers: read.headers })
  t.same(drawTree(await collector.trace(read.id, 'GET /api/sessions/:user_id')), ['GET /api/sessions/:user_id'])

  for (const path of ['/health', '/health/live', '/health/ready', '/', '/canary-path']) await service.request(path, { headers: makeTrace('7').headers })
  service.kill('SIGTERM')
  const { code, log } = await service.exit
  t.equal(code, 0)
  t.same(collector.spans.filter(({ traceId }) => traceId === '7'.repeat(32)), [], 'monitors make no traces')
  t.same([...new Set(collector.spans.map(({ traceId }) => traceId[0]))].sort(), ['1', '2', '3', '4', '5', '6'], 'and nothing happens outside of them')
  t.same([...collector.paths], ['/v1/traces'])
  t.equal(collector.headers['x-ingest'], INGEST)
  const exported = collector.bodies.join('\n')
  t.match(exported, /"my bot"/)
  for (const secret of ['canary', KEY, 'sk-test', INGEST, 'SECRET OF']) t.notMatch(exported, secret)
  t.same(collector.spans.filter(({ events, status }) => events.length > 0 || (status.message ?? '') !== ''), [])
  t.notMatch(log, INGEST)
  for (const [id, message] of [[asked.id, 'Turn ended'], [failed.id, '"code":"AGENT_FAILED"'], [refused.id, 'Request refused']] as const) {
    t.ok(log.split('\n').some(line => line.includes(`"trace_id":"${id}","span_id":"`) && line.includes(message)), message)
  }
})

t.test('of two messages at once each has its own trace; the one that waited for its turn says so', async t => {
  const provider = await OpenAiServer.start(t)
  const collector = await TraceCollector.start(t)
  const service = await Service.start(t, makeFolder(t), { ...provider.env, ...collector.env })
  const { asked, answered } = provider.hold('Done')
  const first = makeTrace('a')
  const second = makeTrace('b')
  const other = makeTrace('c')
  const say = async (trace: ReturnType<typeof makeTrace>, user: string) => await service.post('/api/chat', { user_id: user, message: 'Hello' }, trace.headers)
  const turns = [say(first, 'ann')]
  await asked.opened
  turns.push(say(second, 'ann'))
  // Of another person: the turn in front of it is none of its business.
  provider.answer = () => ({ text: 'Done' })
  turns.push(say(other, 'bob'))
  await turns[2]
  answered.open()
  for (const { status } of await Promise.all(turns)) t.equal(status, 200)
  const wants = ['wait for turn', 'agent turn', 'chat test-model', 'conversation write']
  for (const { id } of [first, second, other]) {
    const spans = await collector.trace(id, 'POST /api/chat')
    const names = spans.map(({ name }) => name)
    for (const name of wants) t.equal(names.filter(one => one === name).length, 1, name)
    // Of a session that was saved a moment ago, a turn that is quick saves nothing.
    if (id !== second.id) t.ok(names.some(name => name.startsWith('session_store')))
    t.equal(drawTree(spans).filter(line => !line.startsWith(' ')).length, 1, 'nothing of it hangs elsewhere')
  }
})

t.test('a turn that waits since too many run says so, and runs outside of its wait', async t => {
  const provider = await OpenAiServer.start(t)
  const collector = await TraceCollector.start(t)
  const service = await Service.start(t, makeFolder(t), { ...provider.env, ...collector.env, MAX_CONCURRENT_TURNS: '1' })
  const { asked, answered } = provider.hold('Done')
  const say = async (digit: string) => await service.post('/api/chat', { user_id: `user_${digit}`, message: 'Hello' }, makeTrace(digit).headers)
  const turns = [say('1')]
  await asked.opened
  turns.push(...['2', '3', '4', '5', '6'].map(say))
  // Five wait, of whom the last one asks is refused.
  t.equal((await Promise.race(turns)).status, 503)
  answered.open()
  t.same((await Promise.all(turns)).map(({ status }) => status).sort(), [200, 200, 200, 200, 200, 503])
  const first = (await collector.trace(makeTrace('1').id, 'POST /api/chat')).map(({ name }) => name)
  t.notOk(first.includes('wait for slot'), 'who does not wait says nothing')
  for (const [index, turn] of turns.entries()) {
    if (index === 0) continue
    const tree = drawTree(await collector.trace(makeTrace(String(index + 1)).id, 'POST /api/chat'))
    t.equal(tree.filter(line => line === '    wait for slot').length, 1)
    t.equal(tree.includes('    agent turn'), (await turn).status === 200, 'beside the wait, where it came to one')
  }
})

t.test('a LangGraph server is told which trace its calls belong to, and its calls are spans of it, without ids and words', async t => {
  const thread = await FakeThread.start(t)
  thread.answer = ({ path, body }, response) => {
    if (!IS_RUN.test(path)) return 'as ever'
    const { input: { messages: [said] } } = JSON.parse(body)
    thread.messages = [...thread.messages, said, { type: 'ai', id: 'a1', content: 'canary-answer' }]
    thread.tell(response, ['metadata', { run_id: 'r1' }], ['values', { messages: thread.messages }])
    return 'by hand'
  }
  const collector = await TraceCollector.start(t)
  const service = await Service.start(t, makeFolder(t), { ...collector.env, LANGGRAPH_URL: thread.fake.url, LANGGRAPH_API_KEY: 'key-of-the-server' })
  const trace = makeTrace('d')
  t.match(await service.post('/api/chat', { user_id: 'ann', message: 'canary-message' }, trace.headers), { status: 200, body: { message: 'canary-answer' } })
  const spans = await collector.trace(trace.id, 'POST /api/chat')
  const tree = drawTree(spans)
  const run = spans.find(({ name }) => name === 'POST /threads/{id}/runs/stream')
  t.ok(tree.includes('      POST /threads/{id}/runs/stream'), 'below the turn of the agent')
  t.equal(thread.fake.asked.find(({ path }) => IS_RUN.test(path))?.headers.traceparent, `00-${trace.id}-${run?.spanId}-01`)
  t.equal(readAttribute(run, 'http.response.status_code'), 200)
  const exported = collector.bodies.join()
  for (const secret of ['canary', 'key-of-the-server']) t.notMatch(exported, secret)
})

t.test('a collector that is not there holds up neither start nor stop; the log says once that it is gone, and once that it is back', async t => {
  const url = await FakeLangGraph.nowhere()
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/`, OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_EXPORTER_OTLP_TIMEOUT: '200' }
  const service = await Service.start(t, makeFolder(t), env)
  for (let n = 0; n < 10; n++) t.equal((await service.say('Hello')).status, 200)
  await service.logged(/Traces cannot be sent/)
  for (let n = 0; n < 10; n++) t.equal((await service.say('Hello')).status, 200)
  const collector = await TraceCollector.start(t, { url })
  while (collector.spans.length === 0) await service.say('Hello')
  await service.logged(/Traces can be sent again/)
  service.kill('SIGTERM')
  const { code, log } = await service.exit
  t.equal(code, 0)
  t.equal(log.match(/Traces cannot be sent/g)?.length, 1)
})

t.test('a collector that takes everything and says nothing does not hold up the stop', async t => {
  const collector = await TraceCollector.start(t, { isSilent: true })
  const service = await Service.start(t, makeFolder(t), collector.env)
  t.equal((await service.say('Hello')).status, 200)
  await collector.arrival()
  service.kill('SIGTERM')
  const { code, log } = await service.exit
  t.equal(code, 0)
  t.notMatch(log, 'longer than SHUTDOWN_GRACE_SECONDS')
})

t.test('what a stop finds unsent is sent before the end', async t => {
  const collector = await TraceCollector.start(t)
  const service = await Service.start(t, makeFolder(t), { ...collector.env, OTEL_BSP_SCHEDULE_DELAY: '600000' })
  t.equal((await service.say('Hello')).status, 200)
  service.kill('SIGTERM')
  t.equal((await service.exit).code, 0)
  t.ok(collector.spans.some(({ name }) => name === 'POST /api/chat'))
})

t.test('headers that cannot be read end the start in one line that does not repeat them', async t => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', OTEL_EXPORTER_OTLP_HEADERS: 'x-key=%hush' }
  const { code, stderr } = await Service.launch(t, makeFolder(t), env).exit
  t.equal(code, 1)
  t.match(stderr, /^OTEL_EXPORTER_OTLP_HEADERS must [^\n]*\n$/)
  t.notMatch(stderr, 'hush')
})
