import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { Command, interrupt, Send, StateGraph } from '@langchain/langgraph'
import { createAgent, humanInTheLoopMiddleware } from 'langchain'
import t from 'tap'
import { z } from 'zod'
import { Appending, Merging, OwnGraph } from '../fixtures/own-graph.ts'
import { ScriptedModel } from '../fixtures/scripted-model.ts'

const say = (content: string) => ({ messages: [new AIMessage(content)] })

for (const [name, State] of [['merge', Merging], ['append', Appending]] as const) {
  t.test(`messages that ${name}`, async t => {
    t.test('a plain question is resumed by yes, no, the person\'s words, or any value of the graph\'s own', async t => {
      const own = await OwnGraph.open(t, checkpointer => new StateGraph(State)
        .addNode('ask', () => say(`got ${JSON.stringify(interrupt('Go on?'))}`))
        .addEdge('__start__', 'ask').compile({ checkpointer }))
      const [asked] = await own.turn('hello')
      t.match(asked, { type: 'question', question: { actions: [{ toolName: 'ask', toolCallId: '', description: 'Go on?', allowedDecisions: ['approve', 'reject', 'respond'] }] } })
      t.match(await own.resume([{ type: 'approve' }]), [{ type: 'answer', text: 'got "yes"' }])
      await own.turn('again')
      t.match(await own.resume([{ type: 'reject' }]), [{ type: 'answer', text: 'got "no"' }])
      await own.turn('again')
      t.match(await own.resume([{ type: 'respond', message: 'maybe' }]), [{ type: 'answer', text: 'got "maybe"' }])
      await own.turn('again')
      t.match(await own.resume([{ type: 'resume', value: { a: [1] } }]), [{ type: 'answer', text: 'got {"a":[1]}' }])
      t.equal(await own.agent.haveResults('thread', ['']), true)
    })

    t.test('a step that fails after a yes is not asked again, and the next message works', async t => {
      let isBroken = true
      const own = await OwnGraph.open(t, checkpointer => new StateGraph(State)
        .addNode('ask', () => {
          interrupt('Go on?')
          if (isBroken) throw new Error('broken')
          return say('done')
        })
        .addEdge('__start__', 'ask').compile({ checkpointer }))
      await own.turn('hello')
      await t.rejects(own.resume([{ type: 'approve' }]), { code: 'AGENT_FAILED', cause: { message: 'broken' } })
      t.equal(await own.agent.pending('thread'), undefined)
      t.equal(await own.agent.haveResults('thread', ['']), false, 'nobody knows what came of it')
      isBroken = false
      t.match(await own.turn('again'), [{ type: 'question' }])
      t.match(await own.resume([{ type: 'approve' }]), [{ type: 'answer', text: 'done' }])
    })

    t.test('a yes that is cut off in its step is asked again', async t => {
      const abort = new AbortController()
      let isSlow = true
      const own = await OwnGraph.open(t, checkpointer => new StateGraph(State)
        .addNode('ask', async () => {
          interrupt('Go on?')
          if (isSlow) {
            abort.abort(new Error('enough'))
            await new Promise(() => {})
          }
          return say('done')
        })
        .addEdge('__start__', 'ask').compile({ checkpointer }))
      await own.turn('hello')
      const asked = await own.agent.pending('thread')
      await t.rejects(own.resume([{ type: 'approve' }], abort.signal), /enough/)
      t.same(await own.agent.pending('thread'), asked)
      isSlow = false
      t.match(await own.resume([{ type: 'reject' }]), [{ type: 'answer', text: 'done' }])
    })

    t.test('a turn that fails leaves neither its message nor a call without a result, and keeps the result of a tool that ran', async t => {
      const calls = new AIMessage({ content: '', tool_calls: [{ id: 'c1', name: 'look', args: {} }] })
      const own = await OwnGraph.open(t, checkpointer => new StateGraph(State)
        .addNode('plan', state => ({ messages: state.messages.at(-1)?.text === 'fail early' ? [calls] : [] }))
        .addNode('look', state => {
          if (state.messages.at(-1)?.text === '') throw new Error('early')
          return { messages: [new AIMessage({ content: '', tool_calls: [{ id: 'c2', name: 'look', args: {} }] }), new ToolMessage({ content: 'seen', tool_call_id: 'c2' })] }
        })
        .addNode('answer', state => {
          if (state.messages.some(message => message.text === 'fail late')) throw new Error('late')
          return say('fine')
        })
        .addEdge('__start__', 'plan').addEdge('plan', 'look').addEdge('look', 'answer').compile({ checkpointer }))
      await t.rejects(own.turn('fail early'), { code: 'AGENT_FAILED' })
      t.same(await own.said(), [])
      await own.turn('hello')
      await t.rejects(own.turn('fail late'), { code: 'AGENT_FAILED' })
      t.same((await own.said()).slice(4), ['assistant calls look', 'tool: seen'])
      t.match((await own.turn('again')).at(-1), { type: 'answer', text: 'fine' })
    })

    t.test('a graph that ends with calls which nobody ran gets results for them', async t => {
      const own = await OwnGraph.open(t, checkpointer => new StateGraph(State)
        .addNode('call', () => ({ messages: [new AIMessage({ content: 'bye', tool_calls: [{ id: 'c1', name: 'look', args: {} }] }), new AIMessage('end')] }))
        .addEdge('__start__', 'call').compile({ checkpointer }))
      await own.turn('hello')
      t.match(await own.said(), ['user: hello', 'assistant calls look', /^tool: This call was cut off/, 'assistant: end'])
    })
  })
}

t.test('questions asked side by side are one question, numbered, and resumed each with its own answer', async t => {
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('plan', () => ({}))
    .addNode('mail', () => say(`mail ${interrupt('Send the mail?')}`))
    .addNode('book', () => say(`book ${JSON.stringify(interrupt({ type: 'approval_request', tool_name: 'book', args: { room: 7 } }))}`))
    .addEdge('__start__', 'plan').addEdge('plan', 'mail').addEdge('plan', 'book').compile({ checkpointer }))
  const [asked] = await own.turn('hello')
  t.match(asked, { question: { actions: [{ description: 'Send the mail?', interrupt: 0 }, { toolName: 'book', description: 'Run book with {"room":7}', interrupt: 1 }] } })
  t.match((await own.resume([{ type: 'reject' }, { type: 'approve' }])).at(-1), { type: 'answer', text: 'book "yes"\n\nmail no' })
  await own.turn('again')
  const question = await own.agent.pending('thread')
  if (question === undefined) throw new Error('Nothing is pending')
  t.throws(() => own.agent.parseResume(question, 'yes'), { code: 'DECISION_REFUSED' })
  t.same(own.agent.parseResume(question, ['yes', { any: 1 }]), [{ type: 'resume', value: 'yes' }, { type: 'resume', value: { any: 1 } }])
})

t.test('questions that follow each other in one step are asked one by one', async t => {
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('ask', () => say(`${interrupt('First?')} ${interrupt('Second?')}`))
    .addEdge('__start__', 'ask').compile({ checkpointer }))
  await own.turn('hello')
  t.match(await own.resume([{ type: 'respond', message: 'one' }]), [{ type: 'question', question: { actions: [{ description: 'Second?' }] } }])
  t.match(await own.resume([{ type: 'respond', message: 'two' }]), [{ type: 'answer', text: 'one two' }])
})

t.test('a thread that somebody else poisoned with an answer of the wrong form takes the right one', async t => {
  const value = { action_requests: [{ name: 'send', args: { to: 'ann' } }], review_configs: [{ action_name: 'send', allowed_decisions: ['approve', 'reject'] }] }
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('ask', () => {
      const { decisions } = interrupt(value)
      return say(`got ${decisions[0].type}`)
    })
    .addEdge('__start__', 'ask').compile({ checkpointer }))
  await own.turn('hello')
  const asked = await own.agent.pending('thread')
  await t.rejects(own.graph.invoke(new Command({ resume: 'yes' }), { configurable: { thread_id: 'thread' } }))
  t.same(await own.agent.pending('thread'), asked)
  t.match(await own.resume([{ type: 'approve' }]), [{ type: 'answer', text: 'got approve' }])
})

function guarded (model: ScriptedModel, beforeSend: (to: string) => void = () => {}) {
  const send = tool(({ to }: { to: string }) => {
    beforeSend(to)
    return `sent to ${to}`
  }, { name: 'send', description: 'Sends', schema: z.object({ to: z.string() }) })
  const look = tool(() => 'seen', { name: 'look', description: 'Looks', schema: z.object({}) })
  const middleware = Reflect.apply(humanInTheLoopMiddleware, undefined, [{ interruptOn: { send: { allowedDecisions: ['approve', 'edit', 'reject'] } } }])
  return (checkpointer: object) => createAgent({ model, tools: [send, look], checkpointer: Object(checkpointer), middleware: [middleware] }).graph
}

t.test('a mixed decision runs what was approved and what needs no approval, and leaves no call without a result', async t => {
  const sent: string[] = []
  const model = new ScriptedModel([[['send', { to: 'ann' }], ['look', {}], ['send', { to: 'bob' }]], 'done'])
  const own = await OwnGraph.open(t, guarded(model, to => { sent.push(to) }))
  await own.turn('hello')
  const events = await own.resume([{ type: 'reject', message: 'not her' }, { type: 'approve' }])
  t.same(sent, ['bob'])
  t.match(events.at(-1), { type: 'answer', text: 'done' })
  t.match((await own.said()).slice(2), [/not her/, /seen|sent to bob/, /seen|sent to bob/, 'assistant: done'])
})

t.test('a rejection beside a call that needs no approval lets that one run', async t => {
  const model = new ScriptedModel([[['look', {}], ['send', { to: 'ann' }]], 'done'])
  const own = await OwnGraph.open(t, guarded(model))
  await own.turn('hello')
  t.match((await own.resume([{ type: 'reject' }])).at(-1), { type: 'answer', text: 'done' })
  t.same((await own.said()).slice(1), ['assistant calls look, send', 'tool: The person rejected this call.', 'tool: seen', 'assistant: done'])
})

t.test('a rejection alone goes back to the model', async t => {
  const own = await OwnGraph.open(t, guarded(new ScriptedModel([[['send', { to: 'ann' }]], 'a pity'])))
  await own.turn('hello')
  t.match((await own.resume([{ type: 'reject', message: 'no' }])).at(-1), { type: 'answer', text: 'a pity' })
  t.same((await own.said()).slice(1), ['assistant calls send', 'tool: no', 'assistant: a pity'])
})

t.test('a tool that fails after a yes is told as failed, and the yes is not asked again', async t => {
  let runs = 0
  const own = await OwnGraph.open(t, guarded(new ScriptedModel([[['send', { to: 'ann' }]], 'fine']), () => {
    runs++
    throw new Error('smtp down')
  }))
  await own.turn('hello')
  t.match((await own.resume([{ type: 'approve' }])).at(-1), { type: 'answer', text: 'fine' })
  t.match((await own.said()).slice(1), ['assistant calls send', /^tool: Error: smtp down/, 'assistant: fine'])
  t.equal(await own.agent.pending('thread'), undefined)
  t.equal(runs, 1)
})

t.test('a tool that takes its graph down after a yes is not asked about again', async t => {
  let runs = 0
  const call = new AIMessage({ content: '', tool_calls: [{ id: 'c1', name: 'send', args: { to: 'ann' } }] })
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('model', state => state.messages.at(-1)?.text === 'send' ? { messages: [call] } : say('fine'))
    .addNode('tools', () => {
      interrupt({ type: 'approval_request', tool_name: 'send', tool_call_id: 'c1', args: { to: 'ann' } })
      runs++
      throw new Error('smtp down')
    })
    .addEdge('__start__', 'model').addConditionalEdges('model', state => state.messages.at(-1)?.text === '' ? 'tools' : '__end__').compile({ checkpointer }))
  await own.turn('send')
  await t.rejects(own.resume([{ type: 'approve' }]), { code: 'AGENT_FAILED', cause: { message: /smtp down/ } })
  t.equal(await own.agent.pending('thread'), undefined)
  t.match(await own.said(), ['user: send', 'assistant calls send', /^tool: This call was cut off/])
  t.equal(await own.agent.haveResults('thread', ['c1']), false)
  t.match((await own.turn('again')).at(-1), { type: 'answer', text: 'fine' })
  t.equal(runs, 1)
})

t.test('a turn runs no more tools than it may, and the model is told of the others', async t => {
  let runs = 0
  const many = (count: number) => Array.from({ length: count }, (_, index): [string, object] => ['look', { index }])
  const look = tool(() => {
    runs++
    return 'seen'
  }, { name: 'look', description: 'Looks', schema: z.object({}) })
  const model = new ScriptedModel([many(20), many(10), 'fine', many(25), 'good'])
  const own = await OwnGraph.open(t, checkpointer => createAgent({ model, tools: [look], checkpointer: Object(checkpointer) }).graph)
  const events = await own.turn('hello')
  t.match(events.at(-1), { type: 'answer', text: 'fine' })
  t.equal(runs, 25)
  t.equal(events.filter(event => event.type === 'tool_result' && event.content.includes('No more than 25 tools')).length, 5)
  t.match((await own.turn('as many as it may')).at(-1), { type: 'answer', text: 'good' })
  t.equal(runs, 50, 'each turn has its own')
})

t.test('a graph that goes round in circles is ended', async t => {
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('round', () => ({})).addEdge('__start__', 'round').addConditionalEdges('round', () => new Send('round', {})).compile({ checkpointer }))
  await t.rejects(own.turn('hello'), { code: 'AGENT_FAILED', cause: { name: 'GraphRecursionError' } })
  t.same(await own.said(), [])
})

t.test('what a turn came to is found by its message', async t => {
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('ask', state => state.messages.at(-1)?.text === 'ask' ? say(`got ${interrupt('Go on?')}`) : say('hi'))
    .addEdge('__start__', 'ask').compile({ checkpointer }))
  await own.turn('hello', { messageId: 'm1' })
  t.match(await own.agent.findReply('thread', 'm1'), { type: 'answer', text: 'hi' })
  t.equal(await own.agent.findReply('thread', 'm2'), undefined)
  await own.turn('ask', { messageId: 'm2' })
  t.match(await own.agent.findReply('thread', 'm2'), { type: 'question', question: await own.agent.pending('thread') })
  await own.resume([{ type: 'approve' }])
  t.match(await own.agent.findReply('thread', 'm2'), { type: 'answer', text: 'got yes' })
  t.match(await own.agent.findReply('thread', 'm1'), { type: 'answer', text: 'hi' })
})

t.test('messages of the person that a graph adds by itself are no end of a turn that runs', async t => {
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('echo', () => ({ messages: [new HumanMessage('by the way'), new AIMessage('hi')] })).addEdge('__start__', 'echo').compile({ checkpointer }))
  t.match(await own.turn('hello'), [{ type: 'answer', text: 'hi' }])
})
