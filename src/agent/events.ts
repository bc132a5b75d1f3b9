import type { BaseMessage } from '@langchain/core/messages'
import type { AgentEvent, Question } from './agent.ts'
import { formatMessage, isAiMessage, sumUsage } from './messages.ts'

/** Between two messages of the agent that are shown as one answer. */
export const PARAGRAPH = '\n\n'

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

/**
 * What the turn of a message came to, as its thread tells: the agent's words since the last result of a tool, or the question that waits. Undefined
 * if the message is not in the thread, or its turn has not ended.
 */
export function describeReply (
  messages: readonly BaseMessage[], messageId: string, question: Question | undefined, isEnded: boolean
): AgentEvent | undefined {
  const start = messages.findIndex(message => message.id === messageId) + 1
  if (start === 0) return undefined
  const next = messages.findIndex((message, index) => index >= start && message.type === 'human')
  const turn = messages.slice(start, next < 0 ? undefined : next)
  const usage = sumUsage(turn.filter(message => isAiMessage(message)))
  if (next < 0 && question !== undefined) return { type: 'question', question, ...usage }
  return next < 0 && !isEnded ? undefined : { type: 'answer', text: listSpoken(turn).join(PARAGRAPH), ...usage }
}

/** What the agent said since the last result of a tool; the result itself, if the turn ended with it. */
export function listSpoken (turn: readonly BaseMessage[]): string[] {
  const said = turn.slice(turn.findLastIndex(message => message.type === 'tool') + 1).filter(message => isAiMessage(message))
  const texts = said.map(message => message.text).filter(text => text !== '')
  const last = turn.at(-1)
  return texts.length === 0 && last?.type === 'tool' ? [last.text] : texts
}
