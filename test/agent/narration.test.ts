import { AIMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { StateGraph } from '@langchain/langgraph'
import { createAgent } from 'langchain'
import t from 'tap'
import { z } from 'zod'
import type { AgentEvent } from '../../src/agent/agent.ts'
import { AgentBench } from '../fixtures/agent.ts'
import { Merging, OwnGraph } from '../fixtures/own-graph.ts'
import { ScriptedModel } from '../fixtures/scripted-model.ts'

/** The tokens behind the last result of a tool. */
function tokens (events: readonly AgentEvent[]): string[] {
  const start = events.findLastIndex(event => event.type === 'tool_result') + 1
  return events.slice(start).flatMap(event => event.type === 'token' ? event.text : [])
}

function answer (events: readonly AgentEvent[]): string {
  const last = events.at(-1)
  return last?.type === 'answer' ? last.text : ''
}

const look = tool(() => 'seen', { name: 'look', description: 'Looks', schema: z.object({}) })

t.test('the built-in agent is told word by word, and the words are the answer', async t => {
  const bench = await AgentBench.open(t)
  const events = await bench.turn('one two three', { wantsTokens: true })
  t.ok(tokens(events).length > 3, 'in pieces')
  t.equal(tokens(events).join(''), answer(events))
  t.match(answer(events), /^You said: one two three/)
  t.same((await bench.turn('one two three')).map(event => event.type), ['answer'], 'only where they are asked for')
})

t.test('words before a tool\'s result are no part of the answer', async t => {
  const model = new ScriptedModel([[['look', {}]], 'I see it now'])
  const own = await OwnGraph.open(t, checkpointer => createAgent({ model, tools: [look], checkpointer: Object(checkpointer) }).graph)
  const events = await own.turn('hello', { wantsTokens: true })
  t.same(events.map(event => event.type), ['tool_call', 'tool_result', 'token', 'token', 'token', 'token', 'answer'])
  t.equal(tokens(events).join(''), 'I see it now')
})

t.test('a step is told in one piece until it is known to speak to the person, then word by word', async t => {
  const model = new ScriptedModel(['hello my friend'])
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('chat', async state => ({ messages: [await model.invoke(state.messages)] })).addEdge('__start__', 'chat').compile({ checkpointer }))
  t.same(tokens(await own.turn('one', { wantsTokens: true })), ['hello my friend'])
  t.same(tokens(await own.turn('two', { wantsTokens: true })), ['hello ', 'my ', 'friend'])
})

t.test('what a graph says to itself is not told', async t => {
  const router = new ScriptedModel(['route: chat'])
  const model = new ScriptedModel(['hello my friend'])
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('route', async state => {
      await router.invoke(state.messages)
      return {}
    })
    .addNode('chat', async state => {
      await router.invoke(state.messages)
      return { messages: [await model.invoke(state.messages)] }
    })
    .addEdge('__start__', 'route').addEdge('route', 'chat').compile({ checkpointer }))
  for (const text of ['one', 'two', 'three']) {
    const events = await own.turn(text, { wantsTokens: true })
    t.equal(answer(events), 'hello my friend')
    t.same(tokens(events), ['hello my friend'], text)
  }
})

t.test('several messages are one answer, in paragraphs', async t => {
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('first', () => ({ messages: [new AIMessage('one')] }))
    .addNode('second', () => ({ messages: [new AIMessage('two')] }))
    .addEdge('__start__', 'first').addEdge('first', 'second').compile({ checkpointer }))
  const events = await own.turn('hello', { wantsTokens: true })
  t.equal(tokens(events).join(''), 'one\n\ntwo')
  t.equal(answer(events), 'one\n\ntwo')
})

t.test('a tool whose result ends the turn is the answer, and a turn without a word has none', async t => {
  const show = tool(() => 'the picture', { name: 'show', description: 'Shows', schema: z.object({}), returnDirect: true })
  const own = await OwnGraph.open(t, checkpointer => createAgent({ model: new ScriptedModel([[['show', {}]]]), tools: [show], checkpointer: Object(checkpointer) }).graph)
  const events = await own.turn('hello', { wantsTokens: true })
  t.equal(answer(events), 'the picture')
  t.same(tokens(events), ['the picture'])
  const silent = await OwnGraph.open(t, checkpointer => new StateGraph(Merging).addNode('none', () => ({})).addEdge('__start__', 'none').compile({ checkpointer }))
  t.equal(answer(await silent.turn('hello')), '')
})

t.test('a summary that takes the place of old messages is not told, what is new is', async t => {
  const { RemoveMessage, SystemMessage } = await import('@langchain/core/messages')
  const { REMOVE_ALL_MESSAGES } = await import('@langchain/langgraph')
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('sum', state => ({ messages: [new RemoveMessage({ id: REMOVE_ALL_MESSAGES }), new SystemMessage('so far'), ...state.messages.slice(-1)] }))
    .addNode('chat', () => ({ messages: [new AIMessage('hi')] }))
    .addEdge('__start__', 'sum').addEdge('sum', 'chat').compile({ checkpointer }))
  await own.turn('one')
  t.match(await own.turn('two', { wantsTokens: true }), [{ type: 'token', text: 'hi' }, { type: 'answer', text: 'hi' }])
  t.same(await own.said(), ['user: two', 'assistant: hi'])
})

t.test('what a step takes back, or says in other words, is not told', async t => {
  const { RemoveMessage } = await import('@langchain/core/messages')
  const model = new ScriptedModel(['the secret is 1234'])
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('chat', async state => ({ messages: [await model.invoke(state.messages)] }))
    .addNode('guard', state => ({ messages: [new RemoveMessage({ id: state.messages.at(-1)?.id ?? '' }), new AIMessage('I cannot tell')] }))
    .addNode('polish', state => ({ messages: [new AIMessage({ id: state.messages.at(-1)?.id ?? '', content: 'I cannot tell that.' })] }))
    .addEdge('__start__', 'chat').addEdge('chat', 'guard').addEdge('guard', 'polish').compile({ checkpointer }))
  for (const text of ['one', 'two']) {
    const events = await own.turn(text, { wantsTokens: true })
    t.equal(answer(events), 'I cannot tell that.')
    t.same(tokens(events), ['I cannot tell that.'])
  }
})

t.test('an answer that is written while another step adds a result of a tool is not lost', async t => {
  const { ToolMessage } = await import('@langchain/core/messages')
  const model = new ScriptedModel(['The answer is 42'])
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('look', () => ({ messages: [new AIMessage({ content: '', tool_calls: [{ id: 'c', name: 'look', args: {} }] }), new ToolMessage({ content: 'seen', tool_call_id: 'c' })] }))
    .addNode('speak', async state => ({ messages: [await model.invoke(state.messages)] }))
    .addEdge('__start__', 'look').addEdge('__start__', 'speak').compile({ checkpointer }))
  for (const text of ['one', 'two']) {
    const events = await own.turn(text, { wantsTokens: true })
    t.equal(answer(events), 'The answer is 42')
    t.equal(tokens(events).join(''), 'The answer is 42')
  }
})

t.test('an attempt that failed and was made again is told once, and the step is told word by word again later', async t => {
  let failures = 1
  const model = new ScriptedModel(['hello my friend'])
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Merging)
    .addNode('chat', async state => {
      const message = await model.invoke(state.messages)
      if (state.messages.at(-1)?.text !== 'fail' || failures-- === 0) return { messages: [message] }
      return { messages: [await model.invoke(state.messages)] }
    }).addEdge('__start__', 'chat').compile({ checkpointer }))
  const pieces: number[] = []
  for (const text of ['one', 'two', 'three']) pieces.push(tokens(await own.turn(text, { wantsTokens: true })).length)
  t.same(pieces, [1, 3, 3])
})

t.test('messages without ids are told once, also behind a question', async t => {
  const { interrupt } = await import('@langchain/langgraph')
  const { Appending } = await import('../fixtures/own-graph.ts')
  const own = await OwnGraph.open(t, checkpointer => new StateGraph(Appending)
    .addNode('look', () => ({ messages: [new AIMessage('I will look at it.')] }))
    .addNode('ask', () => ({ messages: [new AIMessage(`answer ${interrupt('Go on?')}`)] }))
    .addEdge('__start__', 'look').addEdge('look', 'ask').compile({ checkpointer }))
  for (const text of ['one', 'two']) {
    await own.turn(text)
    t.equal(answer(await own.resume([{ type: 'approve' }])), 'answer yes')
  }
})
