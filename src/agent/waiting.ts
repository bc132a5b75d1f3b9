import type { BaseMessage } from '@langchain/core/messages'
import type { StateSnapshot } from '@langchain/langgraph'
import type { Question } from './agent.ts'
import { readQuestion, type Interrupt } from './approvals.ts'
import { isAiMessage, readMessages } from './messages.ts'

/** The question that a thread waits with, and the interrupts that it is made of. */
export interface Waiting {
  readonly question: Question
  readonly interrupts: readonly Interrupt[]
  /** The thread when it asked. */
  readonly messages: readonly BaseMessage[]
}

/** What a thread waits with; undefined if it does not. */
export function readWaiting ({ tasks, values }: StateSnapshot): Waiting | undefined {
  const interrupts = tasks.flatMap(task => task.interrupts.map(({ id, value }) => ({ id: id ?? '', value, node: task.name })))
  if (interrupts.length === 0) return undefined
  const messages = readMessages(values)
  // Of this turn: what was said before the person's message has been answered already, and its tool calls have been made.
  const asked = messages.slice(messages.findLastIndex(message => message.type === 'human') + 1).findLast(message => isAiMessage(message))
  const question = readQuestion({ interrupts, toolCalls: asked?.tool_calls ?? [], text: asked?.text ?? '', messageCount: messages.length })
  return question === undefined ? undefined : { question, interrupts, messages }
}
