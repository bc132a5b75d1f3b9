import { AIMessage, ToolMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { interrupt, MemorySaver, StateGraph } from '@langchain/langgraph'
import { createAgent } from 'langchain'
import t from 'tap'
import { z } from 'zod'
import { Merging, OwnGraph } from '../fixtures/own-graph.ts'
import { ScriptedModel } from '../fixtures/scripted-model.ts'

const say = (content: string) => ({ messages: [new AIMessage(content)] })

const person = { platform: 'api', userId: 'api_ann' }

/** An end that a step brings about by itself, and hangs then. */
function makeEnd () {
  const abort = new AbortController()
  const hang = async () => {
    abort.abort(new Error('enough'))
    return await new Promise<never>(() => {})
  }
  return { signal: abort.signal, hang }
}

for (const saver of ['our own', 'the graph\'s own']) {
  t.test(`a branch that has had its answer is not asked about again, with ${saver} checkpointer`, async t => {
    let flights = 0
    const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
      .addNode('fly', () => {
        if (interrupt('Fly?') === 'yes') flights++
        return say('flown')
      })
      .addNode('stay', () => say(`stayed ${interrupt('Stay?')} ${interrupt('Breakfast?')}`))
      .addEdge('__start__', 'fly').addEdge('__start__', 'stay').compile({ checkpointer: saver === 'our own' ? checkpointer : new MemorySaver() }))
    await own.turn('hello')
    const events = await own.resume([{ type: 'approve' }, { type: 'approve' }])
    t.match(events.at(-1), { type: 'question', question: { actions: { length: 1, 0: { description: 'Breakfast?' } } } })
    t.match((await own.resume([{ type: 'reject' }])).at(-1), { type: 'answer', text: /stayed yes no/ })
    t.equal(flights, 1)
  })
}

t.test('a branch that has had its answer, and has nothing to say, does not run again with the answer to another one', async t => {
  let flights = 0
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('fly', () => {
      if (interrupt('Fly?') === 'yes') flights++
      return {}
    })
    .addNode('stay', () => say(`stayed ${interrupt('Stay?')} ${interrupt('Breakfast?')}`))
    .addEdge('__start__', 'fly').addEdge('__start__', 'stay').compile({ checkpointer }))
  await own.turn('hello')
  const events = await own.resume([{ type: 'approve' }, { type: 'approve' }])
  t.match(events.at(-1), { type: 'question', question: { actions: { length: 1, 0: { description: 'Breakfast?' } } } })
  t.match((await own.resume([{ type: 'reject' }])).at(-1), { type: 'answer', text: 'stayed yes no' })
  t.equal(flights, 1)
})

t.test('a tool that was allowed and ran is not run again because one beside it was cut off', async t => {
  const runs: string[] = []
  const { signal, hang } = makeEnd()
  const guard = (name: string, run: () => Promise<string> | string) => tool(async () => {
    interrupt({ type: 'approval_request', tool_name: name, tool_call_id: name, args: {} })
    runs.push(name)
    return await run()
  }, { name, description: name, schema: z.object({}) })
  const model = new ScriptedModel([[['pay', {}], ['mail', {}]], 'fine'])
  const mail = guard('mail', async () => {
    // The other one's result is taken in before the run is ended.
    await new Promise(resolve => { setTimeout(resolve, 0) })
    await new Promise(resolve => { setTimeout(resolve, 0) })
    return await hang()
  })
  const tools = [guard('pay', () => 'paid'), mail]
  const own = await OwnGraph.open(t, checkpointer => createAgent({ model, tools, checkpointer: Object(checkpointer) }).graph)
  await own.turn('hello')
  await t.rejects(own.resume([{ type: 'approve' }, { type: 'approve' }], signal), /enough/)
  t.equal(await own.agent.pending('thread'), undefined)
  t.match((await own.said()).slice(1), ['assistant calls pay, mail', 'tool: paid', /^tool: This call was cut off/])
  t.match((await own.turn('again')).at(-1), { type: 'answer', text: 'fine' })
  t.same(runs, ['pay', 'mail'])
})

t.test('a step that runs beside a question is not run again when the answer to the question is cut off', async t => {
  let charged = 0
  const { signal, hang } = makeEnd()
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('charge', () => {
      charged++
      return say('charged')
    })
    .addNode('mail', async () => {
      interrupt('Send it?')
      return await hang()
    })
    .addEdge('__start__', 'charge').addEdge('__start__', 'mail').compile({ checkpointer }))
  await own.turn('hello')
  await t.rejects(own.resume([{ type: 'approve' }], signal), /enough/)
  t.equal(await own.agent.pending('thread'), undefined)
  t.equal(await own.agent.haveResults('thread', ['']), false, 'nobody knows what came of it')
  t.equal(charged, 1)
  t.same(await own.said(), ['user: hello', 'assistant: charged'])
})

t.test('the end of a question that asks in words runs nothing, that of one for a yes tells the graph no', async t => {
  const heard: unknown[] = []
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('ask', state => {
      const answer = interrupt(state.messages.at(-1)?.text === 'words' ? 'What for?' : { question: 'Pay?' })
      heard.push(answer)
      return say(`heard ${String(interrupt('And by when?'))}`)
    })
    .addEdge('__start__', 'ask').compile({ checkpointer }))
  for (const text of ['words', 'yes or no']) {
    await own.turn(text)
    const question = await own.agent.pending('thread')
    if (question === undefined) throw new Error('Nothing is pending')
    await own.agent.dismiss({ threadId: 'thread', question, reason: 'expired', person, signal: AbortSignal.timeout(60_000) })
    t.equal(await own.agent.pending('thread'), undefined, 'also where the graph asks on')
  }
  t.same(heard, ['no'])
})

t.test('a graph whose entry looks at the last message is repaired all the same', async t => {
  let isDown = true
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('chat', () => {
      if (isDown) throw new Error('model down')
      return say('fine')
    })
    .addConditionalEdges('__start__', state => state.messages.at(-1)?.text.startsWith('x') === true ? 'chat' : state.messages[0] === undefined ? 'nowhere' : 'chat')
    .compile({ checkpointer }))
  await t.rejects(own.turn('hello'), { code: 'AGENT_FAILED', cause: { message: 'model down' } })
  t.same(await own.said(), [])
  isDown = false
  t.match((await own.turn('again')).at(-1), { type: 'answer', text: 'fine' })
})

t.test('a step that does not come to its question any more is taken out in time', async t => {
  let runs = 0
  const { signal, hang } = makeEnd()
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('ask', async () => {
      runs++
      if (runs > 1) await hang()
      return say(`got ${interrupt('Go on?')}`)
    })
    .addEdge('__start__', 'ask').compile({ checkpointer }))
  await own.turn('hello')
  // The limit's own timer lets a process end.
  const life = setInterval(() => {}, 60_000)
  t.after(() => { clearInterval(life) })
  await t.rejects(own.resume([{ type: 'approve' }], signal), /enough/)
  t.equal(await own.agent.pending('thread'), undefined)
})

t.test('an agent within an agent takes one answer for all of its actions', async t => {
  const { humanInTheLoopMiddleware } = await import('langchain')
  const ran: string[] = []
  const pay = tool(({ to }: { to: string }) => {
    ran.push(to)
    return `paid ${to}`
  }, { name: 'pay', description: 'Pays', schema: z.object({ to: z.string() }) })
  const middleware = Reflect.apply(humanInTheLoopMiddleware, undefined, [{ interruptOn: { pay: { allowedDecisions: ['approve', 'reject'] } } }])
  const model = new ScriptedModel([[['pay', { to: 'ann' }], ['pay', { to: 'bob' }]], 'fine'])
  const inner = createAgent({ model, tools: [pay], middleware: [middleware] }).graph
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging).addNode('inner', Object(inner)).addEdge('__start__', 'inner').compile({ checkpointer }))
  await own.turn('hello')
  const question = await own.agent.pending('thread')
  if (question === undefined) throw new Error('Nothing is pending')
  t.throws(() => { own.agent.checkDecisions(question, [{ type: 'approve' }, { type: 'reject' }]) }, { code: 'DECISION_REFUSED', message: /approve all or reject all/ })
  t.match((await own.resume([{ type: 'approve' }, { type: 'approve' }])).at(-1), { type: 'answer', text: 'fine' })
  t.same(ran, ['ann', 'bob'])
})

t.test('a list with a hole in it can be read again', async t => {
  const { Annotation } = await import('@langchain/langgraph')
  const State = Annotation.Root({ ...Merging.spec, places: Annotation<object[]>({ reducer: (_, b) => b, default: () => [] }) })
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(State)
    .addNode('place', () => {
      const places: object[] = []
      places[1] = { at: 1 }
      return { places, messages: [new AIMessage('placed'), new ToolMessage({ content: 'x', tool_call_id: 'none' })] }
    })
    .addEdge('__start__', 'place').compile({ checkpointer }))
  await own.turn('one')
  t.match((await own.turn('two')).at(-1), { type: 'answer' })
})
