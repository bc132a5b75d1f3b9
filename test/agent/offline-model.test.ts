import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import t from 'tap'
import { z } from 'zod'
import { OfflineModel } from '../../src/agent/offline-model.ts'

const names = ['save_note', 'list_notes', 'current_time']
const tools = names.map(name => tool(() => '', { name, description: name, schema: z.object({ text: z.string().optional() }) }))
const model = new OfflineModel().bindTools(tools)

t.test('it calls the tool that a message asks for', async t => {
  const cases: [string, object][] = [
    ['note: buy milk', { name: 'save_note', args: { text: 'buy milk' } }],
    ['Note:  two\nlines ', { name: 'save_note', args: { text: 'two\nlines' } }],
    ['notes', { name: 'list_notes', args: {} }],
    ['What time is it?', { name: 'current_time', args: {} }]
  ]
  for (const [text, call] of cases) t.match((await model.invoke([new HumanMessage(text)])).tool_calls, [call], text)
})

t.test('it calls no tool that it was not given', async t => {
  const bare = await new OfflineModel().invoke([new HumanMessage('note: buy milk')])
  t.same(bare.tool_calls, [])
  t.match(bare.text, 'You said: note: buy milk')
})

t.test('it remembers the first message of the thread', async t => {
  const answer = await model.invoke([new HumanMessage('I am Ann'), new AIMessage('Hello'), new HumanMessage('what did I say first?')])
  t.match(answer.text, 'You said first: "I am Ann"')
})

t.test('whatever it answers, it says that it is offline', async t => {
  const call = new AIMessage({ content: '', tool_calls: [{ id: '1', name: 'list_notes', args: {} }] })
  const result = new ToolMessage({ content: '1. milk', name: 'list_notes', tool_call_id: '1' })
  const threads = [[new HumanMessage('Hello')], [new HumanMessage('what did I say first?')], [new HumanMessage('notes'), call, result]]
  for (const messages of threads) t.match((await model.invoke(messages)).text, /offline/)
  t.match((await model.invoke([new HumanMessage('Hello')])).text, /^You said: Hello\n.*MODEL/s)
  t.match((await model.invoke(threads[2] ?? [])).text, '1. milk')
})

t.test('it streams word by word, and the words make the answer', async t => {
  const chunks: string[] = []
  for await (const chunk of await model.stream([new HumanMessage('one two  three\nfour')])) chunks.push(chunk.text)
  t.ok(chunks.length > 6)
  t.equal(chunks.join(''), (await model.invoke([new HumanMessage('one two  three\nfour')])).text)
  let whole: AIMessage | undefined
  for await (const chunk of await model.stream([new HumanMessage('note: milk')])) whole = chunk
  t.match(whole?.tool_calls, [{ name: 'save_note', args: { text: 'milk' } }])
})

t.test('while it speaks for long, others get their turn', async t => {
  let turns = 0
  let isSpeaking = true
  const takeTurn = (): void => {
    turns++
    if (isSpeaking) setImmediate(takeTurn)
  }
  const chunks = await model.stream([new HumanMessage('on '.repeat(1000))])
  const before = turns
  setImmediate(takeTurn)
  let words = 0
  for await (const { text } of chunks) words += text === '' ? 0 : 1
  isSpeaking = false
  t.ok(words > 1000, `${words} words`)
  t.ok(turns - before > 20, `${turns - before} turns of the event loop`)
})
