import type { AIMessage, BaseMessage } from '@langchain/core/messages'
import type { AgentEvent } from './agent.ts'
import { formatMessage, sumUsage } from './messages.ts'

/** What a message that came into the thread tells those who follow the turn. */
export function * describeEvents (message: BaseMessage): Generator<AgentEvent> {
  const described = formatMessage(message)
  if (described?.role === 'assistant') {
    for (const { id, name, args } of described.toolCalls) yield { type: 'tool_call', id, name, args }
  }
  if (message.type === 'tool' && described !== undefined) {
    yield { type: 'tool_result', id: described.toolCallId ?? '', name: message.name ?? '', content: described.content }
  }
}

/** The end of a turn that asks nothing; `said` is what the agent said in it. */
export function describeAnswer (said: readonly AIMessage[]): AgentEvent {
  return { type: 'answer', text: said.at(-1)?.text ?? '', ...sumUsage(said) }
}
