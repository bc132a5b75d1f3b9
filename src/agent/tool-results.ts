import { randomUUID } from 'node:crypto'
import { ToolMessage, type BaseMessage } from '@langchain/core/messages'
import type { ToolCall } from './approvals.ts'
import { isAiMessage } from './messages.ts'

/** Marks a result that is none. */
const CUT_OFF = 'holdline_cut_off'

/** The result of a tool call, behind the last message that makes it: there are providers that use their ids again. */
export function findResult (messages: readonly BaseMessage[], toolCallId: string): ToolMessage | undefined {
  const asked = messages.findLastIndex(message => isAiMessage(message) && message.tool_calls?.some(call => call.id === toolCallId) === true)
  return messages.slice(asked + 1).filter(message => ToolMessage.isInstance(message)).find(message => message.tool_call_id === toolCallId)
}

/** The answer that a run was about. */
export interface Answer {
  /** Ids of the tool calls that the person said yes to; an empty one where something else was asked. */
  readonly approved: string[]
  /** How many messages the thread had when it asked. */
  readonly messageCount: number
}

/** Whether a run got anywhere after a yes: to a result of a call, or, where no call was asked about, to any message. */
export function hasCome (messages: readonly BaseMessage[], { approved, messageCount }: Answer): boolean {
  return messages.length > messageCount && (approved.includes('') || approved.some(id => findResult(messages, id) !== undefined))
}

/** Whether these calls have results of their own: false if one was cut off, or never came to be. */
export function haveResults (messages: readonly BaseMessage[], toolCallIds: readonly string[]): boolean {
  return toolCallIds.every(id => {
    const result = findResult(messages, id)
    return result !== undefined && !(CUT_OFF in result.additional_kwargs)
  })
}

/** The calls of these messages that have no result; a provider refuses a thread that holds one. */
export function findOpenCalls (messages: readonly BaseMessage[]): ToolCall[] {
  const results = new Set<string>()
  const open: ToolCall[] = []
  // From the end, so that a result is met before the message whose call it answers.
  for (const message of [...messages].reverse()) {
    if (ToolMessage.isInstance(message)) results.add(message.tool_call_id)
    if (!isAiMessage(message)) continue
    for (const call of message.tool_calls ?? []) {
      if (!results.delete(call.id ?? '')) open.unshift(call)
    }
  }
  return open
}

/**
 * The same messages, every call that has no result given one, where providers want it: behind the other results of its message. It says `reason`, or,
 * without one, that the call was cut off.
 */
export function answerOpenCalls (messages: readonly BaseMessage[], reason?: string): BaseMessage[] {
  const open = new Set(findOpenCalls(messages))
  const answered: BaseMessage[] = []
  let waiting: ToolCall[] = []
  const settle = () => {
    answered.push(...waiting.map(call => describeNoResult(call, reason)))
    waiting = []
  }
  for (const message of messages) {
    if (message.type !== 'tool') settle()
    answered.push(message)
    if (isAiMessage(message)) waiting = (message.tool_calls ?? []).filter(call => open.has(call))
  }
  settle()
  return answered
}

/** The same messages, without those whose calls all came to nothing; where one has a result, the others are given one. */
export function keepAnswered (messages: readonly BaseMessage[]): BaseMessage[] {
  const open = new Set(findOpenCalls(messages))
  const kept = messages.filter(message => {
    const calls = isAiMessage(message) ? message.tool_calls ?? [] : []
    return calls.length === 0 || calls.some(call => !open.has(call))
  })
  return answerOpenCalls(kept)
}

function describeNoResult ({ id = '', name }: ToolCall, reason: string | undefined): ToolMessage {
  const fields = { id: randomUUID(), name, tool_call_id: id, status: 'error' as const }
  if (reason !== undefined) return new ToolMessage({ ...fields, content: reason })
  const content = 'This call was cut off: it may or may not have happened. Ask the person before trying again.'
  return new ToolMessage({ ...fields, content, additional_kwargs: { [CUT_OFF]: true } })
}
