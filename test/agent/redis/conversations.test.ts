import { once } from 'node:events'
import { AIMessage } from '@langchain/core/messages'
import { interrupt, MessagesAnnotation, StateGraph } from '@langchain/langgraph'
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import t, { type Test } from 'tap'
import type { AgentEvent, Decision } from '../../../src/agent/agent.ts'
import type { Conversations } from '../../../src/agent/conversations.ts'
import { LangGraphAgent } from '../../../src/agent/langgraph.ts'
import { openRedisConversations } from '../../../src/agent/redis/open.ts'
import type { RedisConnection, RedisConnectionOptions } from '../../../src/redis/client.ts'
import { runUnderLease } from '../../../src/turn-lease.ts'
import { listTuples, makeMessages, putValues, readValues, threadConfig } from '../../fixtures/checkpoints.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { connectRedis, listKeys, makeLease } from '../../fixtures/redis-conversations.ts'

const log = { info () {}, warn () {}, error () {} }
const person = { platform: 'api', userId: 'api_ann' }

/** A graph of a user's own whose question waits within a subgraph, and which says how many messages it has seen. */
function compile ({ checkpointer }: Conversations) {
  const inner = new StateGraph(MessagesAnnotation)
    .addNode('ask', ({ messages }) => ({ messages: [new AIMessage(`got ${JSON.stringify(interrupt('Go on?'))} after ${messages.length}`)] }))
    .addEdge('__start__', 'ask').compile()
  return new StateGraph(MessagesAnnotation)
    .addNode('hello', () => ({ messages: [new AIMessage('hi')] }))
    .addNode('inner', inner)
    .addConditionalEdges('__start__', ({ messages }) => messages.at(-1)?.text === 'ask' ? 'inner' : 'hello')
    .compile({ checkpointer })
}

/** One replica of the service: a connection of its own, its conversations, and an agent on them. */
async function openReplica (t: Test, server: RedisServer, options: Partial<RedisConnectionOptions> = {}) {
  const connection = await connectRedis(t, server, options)
  const threads = await openRedisConversations({ connection, now: connection.clock.now })
  const agent = new LangGraphAgent({ description: { kind: 'graph', name: 'own' }, graph: compile(threads), tools: [], threads, log, describeRun: () => ({ context: {} }) })
  const run = { threadId: 'thread', person, signal: AbortSignal.timeout(60_000) }
  return {
    connection,
    threads,
    agent,
    turn: async (text: string) => await last(agent.turn({ ...run, text })),
    resume: async (decisions: Decision[]) => {
      const question = await agent.pending('thread')
      if (question === undefined) throw new Error('Nothing is pending')
      return await last(agent.resume({ ...run, question, decisions }))
    }
  }
}

async function last (events: AsyncIterable<AgentEvent>): Promise<AgentEvent | undefined> {
  let event: AgentEvent | undefined
  for await (const next of events) event = next
  return event
}

/** About how much a thread takes, over all of its keys. */
async function measureThread ({ client }: RedisConnection): Promise<number> {
  const names = ['thread', 'thread-order', 'thread-items', 'thread-writes']
  const sizes = await Promise.all(names.map(name => client.memory('USAGE', `{holdline}:${name}:thread`, 'SAMPLES', 0)))
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0)
}

t.test('conversations in Redis', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  t.beforeEach(async t => { await (await connectRedis(t, server)).client.flushdb() })

  t.test('a question within a subgraph is asked by one replica and answered through another one, turn by turn', async t => {
    const [first, second] = [await openReplica(t, server), await openReplica(t, server)]
    t.equal(first.threads.isShared, true)
    for (let n = 0; n < 3; n++) {
      t.match(await first.turn('hello'), { type: 'answer', text: 'hi' })
      t.match(await second.turn('ask'), { type: 'question' })
      t.equal(await first.agent.pending('thread').then(question => question?.actions[0]?.description), 'Go on?')
      t.match(await first.resume([{ type: 'approve' }]), { type: 'answer', text: `got "yes" after ${n * 4 + 3}` })
      t.equal(await second.agent.pending('thread'), undefined)
    }
    t.equal((await second.agent.history('thread')).length, 12)
  })

  t.test('what a thread holds does not grow with its turns once its messages are set aside', async t => {
    const [first, second] = [await openReplica(t, server), await openReplica(t, server)]
    const countKept = async () => await first.connection.client.zcard('{holdline}:thread-order:thread')
    for (let n = 0; n < 12; n++) {
      const replica = n % 3 === 0 ? second : first
      await replica.turn('hello')
      await replica.turn('ask')
      await replica.resume([{ type: 'reject' }])
      t.ok(await countKept() <= 12, `${await countKept()} checkpoints`)
    }
    const items = await first.connection.client.hlen('{holdline}:thread-items:thread')
    t.equal(items, (await first.agent.history('thread')).length, 'each message once')
    const perMessage = await measureThread(first.connection) / items
    t.ok(perMessage < 2000, `${perMessage} bytes a message`)
    t.ok(await first.connection.client.hlen('{holdline}:thread-writes:thread') < 12)
  })

  t.test('a thread that is forgotten leaves no key', async t => {
    const replica = await openReplica(t, server)
    await replica.turn('hello')
    await replica.turn('ask')
    t.same(await listKeys(replica.connection), ['thread-items:thread', 'thread-order:thread', 'thread-writes:thread', 'thread:thread', 'threads'])
    await replica.agent.forget('thread')
    t.same(await listKeys(replica.connection), [])
    t.same(await replica.agent.history('thread'), [])
  })

  t.test('threads are listed in the order of their ids, with the time of the last write by the clock that all share', async t => {
    const { threads, connection } = await openReplica(t, server)
    for (const id of ['b', 'é', 'a', 'B', 'c']) await putValues(threads.checkpointer, { n: 1 }, threadConfig(id))
    const listed = await threads.listThreads('', 9)
    t.same(listed.map(({ threadId }) => threadId), ['B', 'a', 'b', 'c', 'é'])
    for (const { lastWriteMs } of listed) t.ok(Math.abs(lastWriteMs - connection.clock.now()) < 10_000)
    t.same((await threads.listThreads('a', 2)).map(({ threadId }) => threadId), ['b', 'c'])
    t.same(await threads.listThreads('é', 2), [])
  })

  t.test('each write is a span of the trace that it belongs to', async t => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    const exporter = new InMemorySpanExporter()
    const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    t.after(() => provider.shutdown())
    const tracer = provider.getTracer('test')
    const connection = await connectRedis(t, server)
    const { checkpointer } = await openRedisConversations({ connection, now: connection.clock.now, tracer })
    await tracer.startActiveSpan('around', async span => {
      const config = await putValues(checkpointer, { n: 1 })
      await checkpointer.putWrites(config, [['a', 1]], 'task')
      await checkpointer.getTuple(config)
      span.end()
    })
    t.same(exporter.getFinishedSpans().map(({ name }) => name), ['conversation write', 'conversation write', 'around'])
  })

  t.test('the checkpoints of all threads are listed in the order of the puts, whichever replica made them', async t => {
    const [first, second] = [await openReplica(t, server), await openReplica(t, server)]
    for (const [n, { threads }] of [first, second, first, second].entries()) {
      await putValues(threads.checkpointer, { n }, threadConfig(n % 3 === 0 ? 'b' : 'a'))
    }
    const listed = await listTuples(first.threads.checkpointer.list({ configurable: {} }))
    t.same(listed.map(tuple => tuple.checkpoint.channel_values.n), [3, 2, 1, 0])
    await first.threads.close()
  })

  t.test('a turn that was taken over writes nothing any more, and the successor\'s thread stays as it is', async t => {
    const { threads: { checkpointer }, connection, turn } = await openReplica(t, server)
    const { lease, lose } = await makeLease(connection, 'lease-1')
    const config = await runUnderLease(lease, () => putValues(checkpointer, { messages: makeMessages(2) }))
    await lose()
    const taken = { code: 'TURN_TAKEN_OVER', retryAfterSeconds: 5 }
    await t.rejects(runUnderLease(lease, () => putValues(checkpointer, { messages: makeMessages(4) }, config)), taken)
    await t.rejects(runUnderLease(lease, () => checkpointer.putWrites(config, [['a', 1]], 'task')), taken)
    await t.rejects(runUnderLease(lease, () => checkpointer.deleteThread('thread')), taken)
    await t.rejects(runUnderLease(lease, () => turn('hello')), taken)
    t.strictSame(await readValues(checkpointer), { messages: makeMessages(2) })
    t.same((await checkpointer.getTuple(config))?.pendingWrites, [])
    await putValues(checkpointer, { messages: makeMessages(4) }, config)
    t.strictSame(await readValues(checkpointer), { messages: makeMessages(4) }, 'what is written outside of turns needs no lease')
  })
})

t.test('a server that is killed', { skip: NO_REDIS }, async t => {
  t.test('has lost nothing of what was acknowledged, be it killed right after a write', async t => {
    const server = await RedisServer.start(t)
    const replica = await openReplica(t, server)
    let config = threadConfig()
    for (let n = 1; n <= 3; n++) {
      config = await putValues(replica.threads.checkpointer, { messages: makeMessages(n * 20) }, config)
      await replica.threads.checkpointer.putWrites(config, [['a', n]], 'task')
      await replica.threads.notes.put(['n'], 'k', { n })
      await server.stop('SIGKILL')
      await server.start()
      const fresh = await openReplica(t, server)
      t.strictSame(await readValues(fresh.threads.checkpointer), { messages: makeMessages(n * 20) })
      t.same((await fresh.threads.checkpointer.getTuple(config))?.pendingWrites, [['task', 'a', n]])
      t.match(await fresh.threads.notes.get(['n'], 'k'), { value: { n } })
      t.strictSame(await readValues(replica.threads.checkpointer), { messages: makeMessages(n * 20) }, 'who was there before goes on by itself')
    }
  })

  t.test('is said while it is away, and an epoch ends with it', async t => {
    const server = await RedisServer.start(t)
    const { threads, agent, turn, connection } = await openReplica(t, server, { commandTimeoutMs: 200 })
    await turn('hello')
    t.same(threads.status(), { canSave: true })
    const { epoch } = threads
    await server.stop('SIGKILL')
    const refused = { code: 'CONVERSATIONS_UNAVAILABLE', retryAfterSeconds: 5 }
    await t.rejects(agent.history('thread'), refused)
    await t.rejects(turn('hello'), refused)
    await t.rejects(threads.notes.get(['n'], 'k'), refused)
    t.equal(threads.status().canSave, false)
    t.not(threads.epoch, epoch)
    await threads.prune('thread', { isResting: true })
    await Promise.all([once(connection.client, 'ready'), server.start()])
    t.match(await turn('hello'), { type: 'answer', text: 'hi' })
    t.same(threads.status(), { canSave: true })
    t.equal((await agent.history('thread')).length, 4)
  })

  t.test('a server that takes no changes is said, and what is there can be read', async t => {
    const server = await RedisServer.start(t)
    const { threads, agent, turn, connection } = await openReplica(t, server)
    await turn('hello')
    await connection.client.config('SET', 'maxmemory', '1')
    await t.rejects(turn('again'), { code: 'CONVERSATIONS_UNAVAILABLE' })
    t.match(threads.status(), { canSave: false, reason: /memory is full/ })
    t.equal((await agent.history('thread')).length, 2)
    await connection.client.config('SET', 'maxmemory', '0')
    t.match(await turn('again'), { type: 'answer', text: 'hi' })
    t.same(threads.status(), { canSave: true })
  })
})
