import { AIMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { getStore, interrupt, MessagesAnnotation, StateGraph } from '@langchain/langgraph'
import { emptyCheckpoint } from '@langchain/langgraph-checkpoint'
import { ToolNode } from '@langchain/langgraph/prebuilt'
import t from 'tap'
import { z } from 'zod'
import type { Agent, AgentEvent } from '../../../src/agent/agent.ts'
import { createAssistant } from '../../../src/agent/assistant.ts'
import { isCompiledGraph } from '../../../src/agent/compiled-graph.ts'
import { openGraphAgent } from '../../../src/agent/graph-agent.ts'
import { LangGraphAgent } from '../../../src/agent/langgraph.ts'
import { OfflineModel } from '../../../src/agent/offline-model.ts'
import { describeAssistantRun } from '../../../src/agent/run-context.ts'
import { runUnderLease, type TurnLease } from '../../../src/turn-lease.ts'
import { putValues, threadConfig } from '../../fixtures/checkpoints.ts'
import { NO_PGBOUNCER, PgBouncer } from '../../fixtures/pgbouncer.ts'
import { PostgresBench } from '../../fixtures/postgres-conversations.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'

const person = { platform: 'api', userId: 'api_ann' }
const server = await PostgresServer.start(t)
const bench = await PostgresBench.open(t, server)
const replica = await PostgresBench.open(t, server, bench.url)

t.beforeEach(async () => { await bench.clear() })

function makeAssistant ({ conversations, log }: PostgresBench): LangGraphAgent {
  const { graph, tools } = createAssistant({ model: new OfflineModel(), checkpointer: conversations.checkpointer, notes: conversations.notes, log })
  return new LangGraphAgent({ description: { kind: 'built-in' }, graph, tools, threads: conversations, log, describeRun: describeAssistantRun })
}

async function say (agent: Agent, text: string, threadId = 'thread', lease?: TurnLease): Promise<AgentEvent | undefined> {
  return await runUnderLease(lease, async () => {
    await agent.pending(threadId)
    return await hear(agent.turn({ threadId, text, person, signal: AbortSignal.timeout(60_000) }))
  })
}

async function allow (agent: Agent, threadId = 'thread'): Promise<AgentEvent | undefined> {
  const question = await agent.pending(threadId)
  if (question === undefined) throw new Error('Nothing is pending')
  return await hear(agent.resume({ threadId, question, decisions: [{ type: 'approve' }], person, signal: AbortSignal.timeout(60_000) }))
}

async function hear (events: AsyncIterable<AgentEvent>): Promise<AgentEvent | undefined> {
  let last: AgentEvent | undefined
  for await (const event of events) last = event
  return last
}

t.test('the rows of a thread do not grow with its turns, questions included', async t => {
  const agent = makeAssistant(bench)
  const rows: unknown[] = []
  for (let n = 0; n < 5; n++) {
    await say(agent, 'hello')
    await say(agent, 'note: milk')
    await allow(agent)
    const { items, ...counts } = await bench.countRows()
    t.equal(items, n + 1)
    t.equal(counts.checkpoints, 1)
    rows.push(counts)
  }
  t.same(new Set(rows.map(row => JSON.stringify(row))).size, 1)
})

t.test('a forgotten thread leaves no row, and takes none of another', async t => {
  const agent = makeAssistant(bench)
  await say(agent, 'note: milk', 'other')
  const before = await bench.countRows()
  await say(agent, 'hello')
  await say(agent, 'note: milk')
  await agent.forget('thread')
  t.same(await bench.countRows(), before)
  t.match(await agent.pending('other'), { actions: [{ args: { text: 'milk' } }] })
})

t.test('threads are listed in the order of their ids, with the time of their last write, from any of them on', async t => {
  let nowMs = 1000
  const own = await PostgresBench.open(t, server, bench.url, { now: () => nowMs })
  const { conversations } = own
  for (const threadId of ['c', 'a', 'b', 'd']) {
    nowMs += 1
    await putValues(conversations.checkpointer, { n: 1 }, threadConfig(threadId))
    await putValues(conversations.checkpointer, { n: 1 }, threadConfig(threadId, 'child'))
  }
  t.same(await conversations.listThreads('', 3), [
    { threadId: 'a', lastWriteMs: 1002 }, { threadId: 'b', lastWriteMs: 1003 }, { threadId: 'c', lastWriteMs: 1001 }
  ])
  t.same(await conversations.listThreads('c', 3), [{ threadId: 'd', lastWriteMs: 1004 }])
  t.same(await conversations.listThreads('d', 3), [])
  t.same(await conversations.listThreads('', 0), [])
})

t.test('while Postgres is away, every call says so; once it is back, the conversation goes on', async t => {
  const own = await PostgresServer.start(t)
  const bench = await PostgresBench.open(t, own)
  const agent = makeAssistant(bench)
  await say(agent, 'hello')
  await say(agent, 'note: milk')
  t.same(agent.status(), { canSave: true })
  await own.stop()
  const unavailable = { code: 'CONVERSATIONS_UNAVAILABLE', statusCode: 503, retryAfterSeconds: 5 }
  await t.rejects(agent.pending('thread'), unavailable)
  await t.rejects(agent.history('thread'), unavailable)
  await t.rejects(agent.listThreads('', 1), unavailable)
  await t.rejects(agent.forget('thread'), unavailable)
  await t.rejects(hear(agent.turn({ threadId: 'new', text: 'hello', person, signal: AbortSignal.timeout(60_000) })), unavailable)
  await t.rejects(bench.conversations.notes.get(['n'], 'k'), unavailable)
  await bench.conversations.prune('thread', { isResting: true })
  t.match(agent.status(), { canSave: false, reason: String })
  const isBack = bench.log.next('Postgres keeps changes again')
  await own.start()
  await isBack
  t.same(agent.status(), { canSave: true })
  t.match(await allow(agent), { type: 'answer' })
  t.match(await say(agent, 'notes'), { text: /milk/ })
})

/** A graph of a user's own that keeps what it is told, asks within a subgraph, and calls a tool. */
async function openGraph ({ conversations, log }: PostgresBench, onTool: () => Promise<void> | void = () => {}) {
  const keep = tool(async () => {
    await onTool()
    await getStore()?.put(['kept'], 'k', { by: 'tool' })
    return 'kept'
  }, { name: 'keep', description: '', schema: z.object({}) })
  const inner = new StateGraph(MessagesAnnotation)
    .addNode('ask', () => ({ messages: [new AIMessage(`inner ${interrupt('Go on?')}`)] }))
    .addEdge('__start__', 'ask').compile()
  const graph = new StateGraph(MessagesAnnotation)
    .addNode('inner', inner)
    .addNode('call', () => ({ messages: [new AIMessage({ content: '', tool_calls: [{ id: 'c1', name: 'keep', args: {} }] })] }))
    .addNode('tools', new ToolNode([keep]))
    .addNode('end', () => ({ messages: [new AIMessage('end')] }))
    .addEdge('__start__', 'inner').addEdge('inner', 'call').addEdge('call', 'tools').addEdge('tools', 'end').compile()
  if (!isCompiledGraph(graph)) throw new Error('This is no compiled graph')
  const source = { setting: 'AGENT', spec: './a.ts:graph', folder: '.', name: './a.ts:graph' }
  const { agent } = await openGraphAgent({
    source, graph, openConversations: async () => conversations, isShared: true, limits: { maxToolCalls: 25, maxSteps: 100 }, log
  })
  return agent
}

t.test('a user\'s graph asks in its subgraph, on another replica, and leaves one checkpoint', async t => {
  const agent = await openGraph(bench)
  for (let n = 0; n < 3; n++) {
    t.match(await say(agent, 'hello', 'thread', await bench.takeLease()), { type: 'question' })
    const other = await openGraph(replica)
    t.match(await allow(other), { type: 'answer', text: /end$/ })
    t.match(await bench.countRows(), { checkpoints: 1, checkpoint_writes: 0, items: 1 })
  }
  t.equal((await agent.history('thread')).length, 15)
})

t.test('a user\'s graph whose lease is lost in its tool writes neither to its store nor to its thread, whatever it makes of the error', async t => {
  let lease = await bench.takeLease()
  const agent = await openGraph(bench, async () => { await lease.lose() })
  await say(agent, 'hello', 'thread', lease)
  const before = await bench.countRows()
  lease = await bench.takeLease()
  await t.rejects(runUnderLease(lease, async () => await allow(agent)), { code: 'TURN_TAKEN_OVER' })
  t.same(await bench.countRows(), before)
  t.same(bench.log.lines.filter(line => line.startsWith('error')), [])
  t.match(await agent.pending('thread'), { actions: [{ description: 'Go on?' }] })
})

t.test('all of it goes through PgBouncer in transaction mode', { skip: NO_PGBOUNCER }, async t => {
  const bouncer = await PgBouncer.start(t, server, ['default_pool_size = 2'])
  const bench = await PostgresBench.open(t, server, bouncer.addressOf(await server.createDatabase()))
  const agent = makeAssistant(bench)
  await Promise.all(Array.from({ length: 8 }, async (_, index) => {
    const threadId = `thread-${index}`
    const lease = await bench.takeLease()
    await say(agent, 'hello', threadId, lease)
    await say(agent, `note: ${threadId}`, threadId, lease)
    t.match(await runUnderLease(lease, async () => await allow(agent, threadId)), { type: 'answer' })
    await lease.lose()
    await t.rejects(say(agent, 'too late', threadId, lease), { code: 'TURN_TAKEN_OVER' })
  }))
  t.match(await bench.countRows(), { checkpoints: 8, items: 8 })
  t.equal((await bench.conversations.listThreads('', 10)).length, 8)
})

t.test('a turn of the built-in agent takes few statements', async t => {
  const agent = makeAssistant(bench)
  await say(agent, 'hello')
  const before = bench.pool.queryCount
  await say(agent, 'hello again', 'thread')
  t.equal(bench.pool.queryCount - before, 4, 'what waits, the thread, its new checkpoint, and the end of its old one')
  const lease = await bench.takeLease()
  const under = bench.pool.queryCount
  await say(agent, 'and again', 'thread', lease)
  t.equal(bench.pool.queryCount - under, 3, 'under a lease, what was looked at is what is run')
})

t.test('a turn reads anew what was written since it looked, under its own lease as under a later one', async t => {
  const { checkpointer } = bench.conversations
  const config = { configurable: { thread_id: 'anew', checkpoint_ns: '' } }
  const readId = async () => (await checkpointer.getTuple(config))?.checkpoint.id
  const put = async (id: string) => { await checkpointer.put(config, { ...emptyCheckpoint(), id }, { source: 'loop', step: 0, parents: {} }, {}) }
  const [one, two] = [await bench.takeLease(), await bench.takeLease()]
  await put('a')
  await runUnderLease(one, async () => {
    t.equal(await readId(), 'a')
    const reading = readId()
    await put('b')
    await reading
    t.equal(await readId(), 'b')
  })
  await runUnderLease(two, () => put('c'))
  t.equal(await runUnderLease(two, readId), 'c')
  await runUnderLease(two, () => checkpointer.deleteThread('anew'))
  t.equal(await runUnderLease(two, readId), undefined)
})

t.end()
