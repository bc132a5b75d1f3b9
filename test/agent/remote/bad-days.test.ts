import { inspect } from 'node:util'
import t from 'tap'
import type { AgentEvent } from '../../../src/agent/agent.ts'
import { openRemoteAgent } from '../../../src/agent/remote/open.ts'
import { RemoteAgent } from '../../../src/agent/remote/remote-agent.ts'
import { LangGraphServer, type ServerOptions } from '../../../src/agent/remote/server.ts'
import { FakeLangGraph } from '../../fixtures/fake-langgraph.ts'
import { RecordingLog } from '../../fixtures/recording-log.ts'

const NOWHERE = await FakeLangGraph.nowhere()
const THREAD = '0b7e1c52-9d1f-4c57-8d0a-3f4b6a1de001'
const person = { platform: 'api', userId: 'api_ann' }
const HELLO = [{ type: 'human', id: 'm1', content: 'hello' }, { type: 'ai', id: 'm2', content: 'hi' }]
const isRun = /\/runs\/stream$/

function open (url: string, more: Partial<ServerOptions> = {}) {
  const log = new RecordingLog()
  return { log, agent: new RemoteAgent(LangGraphServer.at({ url, assistantId: 'agent', log, ...more })) }
}

async function say (agent: RemoteAgent, { threadId = THREAD, signal = AbortSignal.timeout(30_000) } = {}): Promise<AgentEvent[]> {
  const events: AgentEvent[] = []
  for await (const event of agent.turn({ threadId, text: 'hello', messageId: 'm1', person, signal })) events.push(event)
  return events
}

/** A state as a server sends it. */
function state (messages: readonly object[]): object {
  return { values: { messages }, next: [], tasks: [], metadata: { source: 'loop' }, checkpoint: { thread_id: THREAD, checkpoint_ns: '', checkpoint_id: 'c1' } }
}

t.test('a server that is down fails the turn, and the log names the reason', async t => {
  const { agent } = open(NOWHERE)
  await t.rejects(say(agent), { code: 'AGENT_FAILED', cause: { message: 'The LangGraph server cannot be reached (ECONNREFUSED)' } })
  await t.rejects(agent.pending(THREAD), { code: 'AGENT_FAILED', cause: { message: /ECONNREFUSED/ } })
  t.equal(agent.status().canSave, true)
})

t.test('a server that is down holds no start up', async t => {
  const log = new RecordingLog()
  const agent = await openRemoteAgent({ url: NOWHERE, assistantId: 'agent', log })
  t.same(agent.description, { kind: 'remote', name: 'agent' })
  t.match(log.lines, [/^warn: The LangGraph server does not answer yet.*LANGGRAPH_URL/])
})

t.test('an assistant that is not there is told at the start, by name or by id', async t => {
  const fake = await FakeLangGraph.start(t, ({ method }) => method === 'GET' ? [404, { detail: 'Assistant not found' }] : [200, []])
  for (const assistantId of ['nobody', THREAD]) {
    const log = new RecordingLog()
    await openRemoteAgent({ url: fake.url, assistantId, log })
    t.match(log.lines.at(-1), /^warn: The LangGraph server has no such assistant: look at LANGGRAPH_ASSISTANT_ID/)
  }
})

t.test('a run is never begun twice by itself, whatever the server answers', async t => {
  for (const status of [500, 502, 503, 429]) {
    const fake = await FakeLangGraph.start(t, ({ path }) => isRun.test(path) ? [status, { detail: 'no' }] : [404, { detail: 'no thread' }])
    await t.rejects(say(open(fake.url).agent), { code: 'AGENT_FAILED', cause: { status, detail: 'no', message: /^The LangGraph server answered / } })
    t.equal(fake.count('POST', isRun), 1)
  }
})

t.test('a read is tried again', async t => {
  let failures = 1
  const fake = await FakeLangGraph.start(t, () => failures-- > 0 ? [503, {}] : [200, state([{ type: 'human', id: 'a', content: 'hi' }])])
  t.match(await open(fake.url).agent.history(THREAD), [{ role: 'user', content: 'hi' }])
})

t.test('a key that is refused is named in the log by its setting alone', async t => {
  for (const status of [401, 403]) {
    const fake = await FakeLangGraph.start(t, () => [status, { detail: 'who are you?' }])
    const { agent, log } = open(fake.url.replace('://', '://ann:pass-word@'), { apiKey: 'key-of-ours' })
    const error: unknown = await say(agent).catch((error: unknown) => error)
    t.match(error, { code: 'AGENT_FAILED' })
    t.ok(log.lines.includes('error: The LangGraph server refuses the key: look at LANGGRAPH_API_KEY'))
    const shown = [String(error), error instanceof Error ? `${error.stack} ${String(error.cause)}` : '', ...log.lines, ...log.errors.map(String)].join('\n')
    t.notMatch(shown, /key-of-ours|pass-word/)
    t.match(fake.asked[0]?.headers, { 'x-api-key': 'key-of-ours', authorization: `Basic ${Buffer.from('ann:pass-word').toString('base64')}` })
  }
})

t.test('a key meant for another service goes nowhere, nor does ours where a server sends us', async t => {
  process.env.LANGSMITH_API_KEY = 'key-of-langsmith'
  t.after(() => { delete process.env.LANGSMITH_API_KEY })
  const other = await FakeLangGraph.start(t, () => [200, state([])])
  const fake = await FakeLangGraph.start(t, (_asked, response) => { response.writeHead(302, { location: other.url }).end() })
  await t.rejects(open(fake.url).agent.history(THREAD), { code: 'AGENT_FAILED' })
  t.equal(fake.asked[0]?.headers['x-api-key'], undefined)
  t.equal(other.asked.length, 0)
})

t.test('turns do not wait for each other', async t => {
  const waiting: (() => void)[] = []
  const fake = await FakeLangGraph.start(t, ({ path }, response) => {
    if (!isRun.test(path)) return [200, state(HELLO)]
    // Nobody is answered before all have come.
    waiting.push(() => { response.writeHead(200, { 'content-type': 'text/event-stream' }).end('event: metadata\ndata: {}\n\n') })
    if (waiting.length === 20) for (const answer of waiting) answer()
    return undefined
  })
  const { agent } = open(fake.url)
  const turns = await Promise.all(Array.from({ length: 20 }, (_, index) => say(agent, { threadId: `thread-${index}` })))
  t.match(turns[0]?.at(-1), { type: 'answer', text: 'hi' })
  t.equal(turns.length, 20)
})

t.test('a server that is there and does not answer is told as slow, also where no run is under way', async t => {
  const fake = await FakeLangGraph.start(t, () => undefined)
  await t.rejects(open(fake.url, { requestTimeoutMs: 100 }).agent.pending(THREAD), { code: 'AGENT_TIMEOUT' })
})

t.test('a state in no form that is known is a conversation that cannot be read, and can be forgotten', async t => {
  const fake = await FakeLangGraph.start(t, ({ method }) => method === 'DELETE' ? [404, { detail: 'gone' }] : [200, { what: 'is this?' }])
  const { agent } = open(fake.url)
  await t.rejects(agent.pending(THREAD), { code: 'CONVERSATION_UNREADABLE' })
  await agent.forget(THREAD)
})

t.test('a page of a proxy in the place of a state is no fault of the conversation', async t => {
  const fake = await FakeLangGraph.start(t, (_asked, response) => { response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Log in</html>') })
  await t.rejects(open(fake.url).agent.pending(THREAD), { code: 'AGENT_FAILED', cause: { message: /sent what is no JSON/ } })
})

t.test('nothing of a conversation is in the log where an event cannot be read', async t => {
  const fake = await FakeLangGraph.start(t, ({ path }, response) => {
    if (!isRun.test(path)) return [200, path.includes('/runs') ? [] : state([])]
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('event: values\ndata: {"messages": secret words}\n\n')
    return undefined
  })
  const { agent, log } = open(fake.url)
  const error: unknown = await say(agent).catch((error: unknown) => error)
  t.match(error, { code: 'AGENT_FAILED', cause: { message: /sent what is no JSON/, cause: undefined } })
  t.notMatch([inspect(error), ...log.lines, ...log.errors.map(error => inspect(error))].join('\n'), /secret/)
})

t.test('a conversation that the server lost is begun anew, and that is told', async t => {
  let isLost = false
  const fake = await FakeLangGraph.start(t, ({ path }, response) => {
    if (!isRun.test(path)) return isLost ? [404, { detail: 'no thread' }] : [200, state(HELLO)]
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('event: metadata\ndata: {}\n\n')
    return undefined
  })
  const { agent, log } = open(fake.url)
  await say(agent)
  isLost = true
  t.equal(await agent.pending(THREAD), undefined)
  t.same(log.lines, ['warn: The LangGraph server no longer has a conversation; it begins anew'])
  t.match(JSON.parse(fake.asked.find(({ path }) => isRun.test(path))?.body ?? ''), {
    if_not_exists: 'create', multitask_strategy: 'reject', on_disconnect: 'continue', context: { platform: 'api', user_id: 'api_ann' }
  })
})

t.test('messages of Python are read as those of JavaScript', async t => {
  const messages = [
    { type: 'system', id: 's', content: 'Be brief' },
    { type: 'human', id: 'h', content: 'hi', additional_kwargs: {}, response_metadata: {}, name: null, example: false },
    {
      type: 'ai',
      id: 'a',
      content: [{ type: 'text', text: 'let me ' }, { type: 'text', text: 'look' }, { type: 'tool_use', id: 'c', name: 'look', input: {} }],
      tool_calls: [{ name: 'look', args: { at: 'it' }, id: 'c', type: 'tool_call' }],
      invalid_tool_calls: [],
      usage_metadata: null
    },
    { type: 'tool', id: 't', content: 'seen', tool_call_id: 'c', name: 'look', artifact: null, status: 'success' },
    { lc: 1, type: 'constructor', id: ['langchain_core', 'messages', 'AIMessage'], kwargs: { id: 'e', content: 'there it is' } },
    { role: 'user', content: 'thanks' },
    { what: 'is this?' }
  ]
  const fake = await FakeLangGraph.start(t, () => [200, state(messages)])
  t.same(await open(fake.url).agent.history(THREAD), [
    { id: 'h', role: 'user', content: 'hi', toolCalls: [] },
    { id: 'a', role: 'assistant', content: 'let me look', toolCalls: [{ id: 'c', name: 'look', args: { at: 'it' } }] },
    { id: 't', role: 'tool', content: 'seen', toolCalls: [], toolCallId: 'c' },
    { id: 'e', role: 'assistant', content: 'there it is', toolCalls: [] },
    { id: 'message-5', role: 'user', content: 'thanks', toolCalls: [] }
  ])
})

t.test('ids that are no UUIDs become some, always the same ones', async t => {
  const fake = await FakeLangGraph.start(t, () => [404, { detail: 'no thread' }])
  const { agent } = open(fake.url)
  for (const threadId of [THREAD, 'Thread.1:a', 'Thread.1:a', 'thread.1:a', THREAD.toUpperCase()]) await agent.history(threadId)
  const [own, first, again, other, upper] = fake.asked.map(({ path }) => path.split('/')[2])
  t.equal(own, THREAD)
  t.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.equal(again, first)
  t.equal(new Set([own, first, other, upper]).size, 4)
})

t.test('other threads of the server are none of ours', async t => {
  t.same(await open(NOWHERE).agent.listThreads(), [])
})
