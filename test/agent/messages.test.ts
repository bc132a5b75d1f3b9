import { AIMessage, HumanMessage } from '@langchain/core/messages'
import t from 'tap'
import { isAiMessage, readMessages, sumUsage } from '../../src/agent/messages.ts'

t.test('a message of an older LangChain is read as one of ours, and what is no message is left out', async t => {
  const { toDict } = AIMessage.prototype
  const said = new AIMessage({ id: 'a', content: 'hi', tool_calls: [{ id: 'c', name: 'act', args: { x: 1 } }] })
  // As a class that is none of ours gives it.
  const older = { _getType: () => 'ai', toDict: () => toDict.call(said) }
  const messages = readMessages({ messages: [new HumanMessage('hello'), older, 'text', null, { content: 'x' }] })
  t.equal(messages.length, 2)
  t.match(messages[1], { id: 'a', text: 'hi', tool_calls: [{ id: 'c', name: 'act', args: { x: 1 } }] })
  t.ok(messages.every((message, index) => isAiMessage(message) === (index === 1)))
})

t.test('the model is the one of the last message, under whatever name its provider gives it; where it gives none, the one that was heard', async t => {
  const said = (facts: Record<string, unknown>) => new AIMessage({ content: 'hi', response_metadata: facts })
  t.equal(sumUsage([said({ model_name: 'first' }), said({ model_name: 'gpt' })]).model, 'gpt')
  t.equal(sumUsage([said({ model: 'claude' })], 'heard').model, 'claude')
  t.equal(sumUsage([said({})], 'heard').model, 'heard')
  t.same(sumUsage([], 'heard'), {})
})

t.test('tokens that cannot be counted count as none', async t => {
  const said = (input: unknown) => Object.assign(new AIMessage('hi'), { usage_metadata: { input_tokens: input, output_tokens: 2, total_tokens: 3 } })
  t.same(sumUsage([said(-5), said(NaN), said('7'), said(undefined), said(1)]).usage, { input_tokens: 1, output_tokens: 10, total_tokens: 15 })
})
