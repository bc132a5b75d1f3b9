// Orders pizza, and asks before it does: LangChain's `createAgent` with a guarded tool.
//
// With OPENAI_API_KEY it is a real model; without, a script plays its part. Say: order margherita

import { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { AIMessage, type BaseMessage } from '@langchain/core/messages'
import { createAgent, humanInTheLoopMiddleware, tool } from 'langchain'
import { z } from 'zod'

const orderPizza = tool(async ({ kind }) => `One ${kind} is on its way.`, {
  name: 'order_pizza',
  description: 'Orders one pizza.',
  schema: z.object({ kind: z.string().min(1) })
})

/** Plays the part of a model: calls the tool when it is told to order, and repeats what the tool says. */
class ScriptedModel extends BaseChatModel {
  _llmType () {
    return 'scripted'
  }

  override bindTools () {
    return this
  }

  async _generate (messages: BaseMessage[]) {
    const message = answer(messages.at(-1))
    return { generations: [{ text: message.text, message }] }
  }
}

function answer (last?: BaseMessage): AIMessage {
  const text = last?.text ?? ''
  if (last?.type === 'tool') return new AIMessage(text)
  const [, kind] = /^order (.+)/i.exec(text) ?? []
  if (kind === undefined) return new AIMessage('Say "order margherita", for example.')
  return new AIMessage({ content: '', tool_calls: [{ id: crypto.randomUUID(), name: 'order_pizza', args: { kind } }] })
}

export const agent = createAgent({
  model: process.env.OPENAI_API_KEY === undefined ? new ScriptedModel({}) : 'openai:gpt-5-mini',
  systemPrompt: 'You take orders for pizza. Be brief.',
  tools: [orderPizza],
  middleware: [humanInTheLoopMiddleware({ interruptOn: { order_pizza: { allowedDecisions: ['approve', 'edit', 'reject'] } } })]
})
