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
  return next < 0 && !isEnded ? undefined : { type: 'answer', text: joinAnswer(turn), ...usage }
}

function joinAnswer (turn: readonly BaseMessage[]): string {
  const last = turn.at(-1)
  const said = turn.slice(turn.findLastIndex(message => message.type === 'tool') + 1).filter(message => isAiMessage(message))
  const answer = said.map(message => message.text).filter(text => text !== '').join(PARAGRAPH)
  return answer.trim() === '' ? describeSilence(last) : answer
}

/** The answer of a turn in which the agent said nothing itself: the result of a tool, if that is what it ended with. */
export function describeSilence (last: BaseMessage | undefined): string {
  return last?.type === 'tool' ? last.text : ''
}
