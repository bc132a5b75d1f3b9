import { AIMessage, HumanMessage } from '@langchain/core/messages'
import t from 'tap'
import { isAiMessage, readMessages } from '../../src/agent/messages.ts'

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
