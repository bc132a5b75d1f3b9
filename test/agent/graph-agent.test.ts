import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { AIMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { Annotation, InMemoryStore, interrupt, MemorySaver, MessagesAnnotation, START, StateGraph, type LangGraphRunnableConfig } from '@langchain/langgraph'
import { ToolNode } from '@langchain/langgraph/prebuilt'
import t from 'tap'
import { z } from 'zod'
import { ServiceError } from '../../src/errors.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { GraphBench } from '../fixtures/graph-bench.ts'

const State = MessagesAnnotation

/** A graph of one node, which says what this gives. */
function makeGraph (say: (config: LangGraphRunnableConfig, text: string) => unknown) {
  return new StateGraph(State)
    .addNode('say', async ({ messages }: typeof State.State, config: LangGraphRunnableConfig) =>
      ({ messages: [new AIMessage(String(await say(config, messages.at(-1)?.text ?? '')))] }))
    .addEdge(START, 'say')
}

const answer = () => interrupt('Go on?')

t.test('a graph without a checkpointer is given ours: its question outlives a restart, and its threads are listed and forgotten', async t => {
  const dir = makeFolder(t)
  const first = await GraphBench.open(t, makeGraph(answer).compile(), dir)
  t.equal(await first.say('hello'), 'Go on?')
  await first.close()
  const bench = await GraphBench.open(t, makeGraph(answer).compile(), dir)
  t.equal(await bench.decide([{ type: 'approve' }]), 'yes')
  t.match(await bench.agent.listThreads('', 10), [{ threadId: 'thread' }])
  await bench.agent.forget('thread')
  t.same(await bench.agent.history('thread'), [])
})

t.test('a graph that says true or false for a checkpointer, which are words for a subgraph, is given ours as well', async t => {
  for (const checkpointer of [true, false]) {
    const bench = await GraphBench.open(t, makeGraph(answer).compile({ checkpointer }))
    await bench.say('hello')
    t.equal(await bench.decide([{ type: 'reject' }]), 'no')
  }
})

t.test('a graph that brings its own checkpointer to a store that replicas share is warned about, by what it cannot keep', async t => {
  class OwnSaver extends MemorySaver {}
  const { log } = await GraphBench.open(t, makeGraph(answer).compile({ checkpointer: new OwnSaver() }), makeFolder(t), true)
  t.match(log.lines.join('\n'), 'does not check whose turn it is')
})

t.test('a turn that was saved although nobody heard of it stays in the thread as it is, for a repeat of its message to find', async t => {
  let isLost = false
  class DistantSaver extends MemorySaver {
    override async put (...args: Parameters<MemorySaver['put']>): ReturnType<MemorySaver['put']> {
      const config = await super.put(...args)
      if (isLost) throw new ServiceError('CONVERSATIONS_UNAVAILABLE')
      return config
    }
  }
  const { agent, log } = await GraphBench.open(t, makeGraph((_config, text) => `You said: ${text}`).compile({ checkpointer: new DistantSaver() }))
  const say = async (text: string): Promise<void> => {
    const run = agent.turn({ threadId: 'thread', text, messageId: text, person: { platform: 'api', userId: 'api_ann' }, signal: AbortSignal.timeout(60_000) })
    for await (const event of run) t.equal(event.type, 'answer')
  }
  await say('one')
  isLost = true
  await t.rejects(say('two'), { code: 'CONVERSATIONS_UNAVAILABLE' })
  isLost = false
  t.equal(await agent.pending('thread'), undefined)
  t.match(await agent.findReply('thread', 'two'), { type: 'answer', text: 'You said: two' })
  t.same((await agent.history('thread')).map(({ content }) => content), ['one', 'You said: one', 'two', 'You said: two'])
  t.same(log.errors, [], 'there was nothing to make fit')
})

t.test('a turn that fails after its agent has spoken leaves no answer to nothing', async t => {
  let isFailing = true
  const graph = makeGraph((_config, text) => `You said: ${text}`)
    .addNode('check', () => { if (isFailing) throw new Error('not today'); return {} })
    .addEdge('say', 'check')
  const bench = await GraphBench.open(t, graph.compile())
  await t.rejects(bench.say('one'), { code: 'AGENT_FAILED' })
  isFailing = false
  t.equal(await bench.say('two'), 'You said: two')
  t.same((await bench.agent.history('thread')).map(({ content }) => content), ['two', 'You said: two'])
})

t.test('a graph that brings its own checkpointer keeps its threads there, and no file of ours is made', async t => {
  class OwnSaver extends MemorySaver {}
  const saver = new OwnSaver()
  const bench = await GraphBench.open(t, makeGraph(answer).compile({ checkpointer: saver }))
  await bench.say('hello')
  t.equal(await bench.decide([{ type: 'approve' }]), 'yes')
  t.same(bench.log.lines, ['info: Conversations are kept by the graph\'s own checkpointer'])
  t.notOk(existsSync(join(bench.dir, 'conversations.sqlite')))
  t.same(bench.agent.status(), { canSave: true })
  t.same(await bench.agent.listThreads('', 10), [])
  const config = { configurable: { thread_id: 'thread' } }
  t.ok(await saver.getTuple(config))
  await bench.agent.forget('thread')
  t.equal(await saver.getTuple(config), undefined)
})

t.test('a checkpointer in memory is warned of', async t => {
  const bench = await GraphBench.open(t, makeGraph(answer).compile({ checkpointer: new MemorySaver() }))
  t.match(bench.log.lines, [/^warn: .*a restart forgets them/])
})

t.test('where other replicas run turns of the same threads, a checkpointer in memory is refused, saying what to do', async t => {
  const graph = makeGraph(answer).compile({ checkpointer: new MemorySaver() })
  await t.rejects(GraphBench.open(t, graph, makeFolder(t), true), { code: 'SETTING_INVALID', message: /^AGENT .*\(MemorySaver\) keeps .*compile it without a checkpointer/ })
})

t.test('a checkpointer of the days before threads could be removed is warned of, and forgetting ends no request', async t => {
  class OldSaver extends MemorySaver {
    override readonly deleteThread = Object(undefined).nothing
  }
  const bench = await GraphBench.open(t, makeGraph(answer).compile({ checkpointer: new OldSaver() }))
  t.match(bench.log.lines[1], /^warn: .*no deleteThread/)
  await bench.agent.forget('thread')
})

t.test('a graph finds what it remembered in our store, beyond its threads, unless it brings its own', async t => {
  const remember = async ({ store }: LangGraphRunnableConfig, text: string) => {
    const known = await store?.get(['facts'], 'last')
    await store?.put(['facts'], 'last', { text })
    return String(known?.value.text)
  }
  const bench = await GraphBench.open(t, makeGraph(remember).compile())
  t.equal(await bench.say('one'), 'undefined')
  await bench.agent.forget('thread')
  t.equal(await bench.say('two'), 'one')
  const store = new InMemoryStore()
  const other = await GraphBench.open(t, makeGraph(remember).compile({ store }))
  await other.say('three')
  t.match(await store.get(['facts'], 'last'), { value: { text: 'three' } })
})

t.test('the graph that was given stays as it was', async t => {
  const graph = makeGraph(answer).compile()
  const before = { ...graph }
  const bench = await GraphBench.open(t, graph)
  await bench.say('hello')
  t.strictSame({ ...graph }, before)
})

t.test('a graph whose state has no messages is refused, whatever else it has', async t => {
  const Other = Annotation.Root({ text: Annotation<string> })
  const graph = new StateGraph(Other).addNode('a', () => ({})).addEdge(START, 'a').compile()
  await t.rejects(GraphBench.open(t, graph), { code: 'SETTING_INVALID', message: /^AGENT .*: the graph has no messages in its state; .* MessagesAnnotation/ })
})

t.test('messages may be any channel of that name', async t => {
  const Plain = Annotation.Root({ messages: Annotation<AIMessage[]>({ reducer: (all, more) => all.concat(more), default: () => [] }) })
  const graph = new StateGraph(Plain).addNode('a', () => ({ messages: [new AIMessage({ id: 'a', content: 'hi' })] })).addEdge(START, 'a').compile()
  t.equal(await (await GraphBench.open(t, graph)).say('hello'), 'hi')
})

t.test('a run learns whose it is, in the places where graphs look', async t => {
  const graph = makeGraph(({ configurable = {}, context }) => {
    const { user_id, platform, thread_id } = configurable
    return JSON.stringify([user_id, platform, thread_id, context])
  })
  const bench = await GraphBench.open(t, graph.compile())
  t.same(JSON.parse(await bench.say('hello')), ['api_ann', 'api', 'thread', { user_id: 'api_ann', platform: 'api', user_name: 'Ann' }])
  t.same(JSON.parse(await bench.say('hello', { platform: 'web', userId: 'web_bob' }))[3], { user_id: 'web_bob', platform: 'web' })
})

t.test('a question that is asked again after its answer was cut off is asked on behalf of the same person', async t => {
  const abort = new AbortController()
  const graph = new StateGraph(State)
    .addNode('call', () => ({ messages: [new AIMessage({ content: '', tool_calls: [{ id: 'c', name: 'act', args: {} }] })] }))
    .addNode('ask', (_state, { configurable, context }: LangGraphRunnableConfig) => {
      const description = `${configurable?.user_id} of ${context?.platform} asks`
      interrupt({ type: 'approval_request', tool_name: 'act', tool_call_id: 'c', description })
      return {}
    })
    .addNode('act', async () => {
      abort.abort(new Error('enough'))
      await new Promise(() => {})
    })
    .addEdge(START, 'call').addEdge('call', 'ask').addEdge('ask', 'act').compile()
  const bench = await GraphBench.open(t, graph)
  t.equal(await bench.say('act'), 'api_ann of api asks')
  await t.rejects(bench.decide([{ type: 'approve' }], abort.signal), /enough/)
  t.match(await bench.agent.pending('thread'), { actions: [{ description: 'api_ann of api asks' }] })
})

t.test('a context of the graph\'s own form does not end its runs, and what the graph gives itself is kept', async t => {
  const say = ({ context }: LangGraphRunnableConfig) => JSON.stringify(context)
  const graph = new StateGraph(State, z.strictObject({ tenant: z.string() }))
    .addNode('say', (_state, config) => ({ messages: [new AIMessage(say(config))] })).addEdge(START, 'say').compile()
  const bench = await GraphBench.open(t, graph)
  t.match(await bench.say('hello'), /api_ann/)
  const given = await GraphBench.open(t, graph.withConfig({ context: { tenant: 'acme' } }))
  t.match(JSON.parse(await given.say('hello')), { tenant: 'acme', user_id: 'api_ann' })
})

t.test('a graph that stops at breakpoints is refused: nobody would be asked', async t => {
  const builder = new StateGraph(State).addNode('say', () => ({})).addEdge(START, 'say')
  for (const options of [{ interruptBefore: ['say' as const] }, { interruptAfter: '*' as const }]) {
    await t.rejects(GraphBench.open(t, builder.compile(options)), { code: 'SETTING_INVALID', message: /breakpoints/ })
  }
})

t.test('edited arguments are held against the tools of the graph and of the graphs within it', async t => {
  const pay = tool(async ({ euros }) => `Paid ${euros}`, { name: 'pay', description: 'Pays.', schema: z.object({ euros: z.number() }) })
  const inner = new StateGraph(State).addNode('tools', new ToolNode([pay])).addEdge(START, 'tools').compile()
  const ask = ({ messages }: typeof State.State) => {
    if (messages.at(-1)?.type !== 'human') return {}
    const request = { name: 'pay', args: { euros: 1 } }
    const resume: unknown = interrupt({ actionRequests: [request], reviewConfigs: [{ actionName: 'pay', allowedDecisions: ['approve', 'edit'] }] })
    const { editedAction = request } = Object(Object(resume).decisions[0])
    return { messages: [new AIMessage({ content: '', tool_calls: [{ id: 'call', ...editedAction }] })] }
  }
  const tell = ({ messages }: typeof State.State) => ({ messages: [new AIMessage(messages.at(-1)?.text ?? '')] })
  const graph = new StateGraph(State).addNode({ ask, inner, tell }).addEdge(START, 'ask').addEdge('ask', 'inner').addEdge('inner', 'tell').compile()
  const bench = await GraphBench.open(t, graph)
  t.equal(await bench.say('pay'), 'Run pay with {"euros":1}')
  const question = await bench.agent.pending('thread')
  t.ok(question)
  if (question === undefined) return
  t.throws(() => { bench.agent.checkDecisions(question, [{ type: 'edit', args: { euros: 'many' } }]) }, { code: 'DECISION_REFUSED', message: /euros/ })
  t.equal(await bench.decide([{ type: 'edit', args: { euros: 2 } }]), 'Paid 2')
})

t.test('a tool whose name stands for two is not held against either', async t => {
  const request = { action_request: { action: 'pay', args: {} }, config: { allow_edit: true } }
  const make = (schema: z.ZodObject) => tool(async () => '', { name: 'pay', description: 'Pays.', schema })
  const graph = new StateGraph(State)
    .addNode('one', new ToolNode([make(z.object({ euros: z.number() }))]))
    .addNode('two', new ToolNode([make(z.object({ cents: z.number() }))]))
    .addNode('ask', () => ({ messages: [new AIMessage(JSON.stringify(interrupt(request)))] }))
    .addEdge(START, 'ask').addEdge('ask', 'one').addEdge('ask', 'two').compile()
  const bench = await GraphBench.open(t, graph)
  await bench.say('pay')
  const question = await bench.agent.pending('thread')
  t.ok(question)
  if (question === undefined) return
  for (const args of [{ euros: 1 }, { cents: 1 }]) t.doesNotThrow(() => { bench.agent.checkDecisions(question, [{ type: 'edit', args }]) })
})
