import { randomUUID } from 'node:crypto'
import { isJsonObject, type JsonObject } from '../../sessions/session.ts'
import type { Decision, Question } from '../agent.ts'
import { formatResume, type Interrupt } from '../approvals.ts'
import { isAiMessage } from '../messages.ts'
import { REJECTED } from '../resume-input.ts'
import type { RunStart } from './server.ts'
import type { RemoteMessage } from './wire-messages.ts'

/**
 * What resumes a thread with these decisions, interrupt by interrupt: a bare value would answer all of them.
 *
 * *Promise.* Every call gets the decision that was made about it. JavaScript's `humanInTheLoopMiddleware` drops whatever was allowed beside a
 * rejected call. So where one message has calls of both kinds, it is split first: one message with what is rejected, and its results, then one with
 * the rest, which alone the middleware finds to decide about. Nothing that was rejected is ever told to it as approved.
 */
export function formatCommand (
  question: Question, decisions: readonly Decision[], { interrupts, asked }: { interrupts: readonly Interrupt[], asked: RemoteMessage | undefined }
): NonNullable<RunStart['command']> {
  const split = asked === undefined ? undefined : splitMessage(question, decisions, asked)
  const values = split === undefined ? formatResume(question, decisions) : formatResume(split.question, split.decisions)
  const [only] = interrupts
  // Servers of old give no ids, and then there is but one.
  if (interrupts.length === 1 && only?.id === '') return { resume: values[0] }
  // All that was asked about is rejected, and only what needs no yes is left: the middleware takes no decisions any more.
  const resume = Object.fromEntries(interrupts.map(({ id }, index) => [id, values[index] ?? { decisions: [] }]))
  return { resume, ...(split !== undefined && { update: { messages: split.messages } }) }
}

interface Split {
  readonly messages: JsonObject[]
  readonly question: Question
  readonly decisions: readonly Decision[]
}

function splitMessage (question: Question, decisions: readonly Decision[], asked: RemoteMessage): Split | undefined {
  const { actions } = question
  const calls = isAiMessage(asked.message) ? asked.message.tool_calls ?? [] : []
  const rejected = new Map(actions.flatMap(({ toolCallId }, index) => {
    const decision = decisions[index]
    return decision?.type === 'reject' ? [[toolCallId, decision.message ?? REJECTED] as const] : []
  }))
  const isOurs = actions.every(({ dialect, interrupt, toolCallId }) =>
    dialect === 'langchain' && interrupt === 0 && calls.some(call => call.id === toolCallId))
  if (!isOurs || rejected.size === 0 || rejected.size === calls.length) return undefined
  const refused = calls.filter(call => rejected.has(call.id ?? ''))
  const kept = actions.flatMap((action, index) => rejected.has(action.toolCallId) ? [] : [{ action, decision: decisions[index] }])
  return {
    messages: [
      pickCalls(asked, call => rejected.has(call)),
      ...refused.map(({ id = '', name }) => ({ type: 'tool', id: randomUUID(), tool_call_id: id, name, status: 'error', content: rejected.get(id) })),
      { ...pickCalls(asked, call => !rejected.has(call)), ...describeRest(asked, call => !rejected.has(call)) }
    ],
    question: { ...question, actions: kept.map(({ action }) => action) },
    decisions: kept.flatMap(({ decision }) => decision ?? [])
  }
}

/** A message with some of its calls; providers repeat them in the content, and in fields of their own. */
function pickCalls ({ wire }: RemoteMessage, isPicked: (id: string) => boolean): JsonObject {
  const calls: unknown[] = Array.isArray(wire.tool_calls) ? wire.tool_calls : []
  const blocks: unknown = wire.content
  const isKept = (part: unknown) => !isJsonObject(part) || typeof part.id !== 'string' || isPicked(part.id)
  const extra = isJsonObject(wire.additional_kwargs) ? Object.fromEntries(Object.entries(wire.additional_kwargs).filter(([key]) => key !== 'tool_calls')) : {}
  return { ...wire, type: 'ai', content: Array.isArray(blocks) ? blocks.filter(isKept) : blocks, tool_calls: calls.filter(isKept), additional_kwargs: extra }
}

/** The second half says nothing that the first has said, and costs nothing. */
function describeRest ({ wire }: RemoteMessage, isPicked: (id: string) => boolean): JsonObject {
  const blocks: unknown[] = Array.isArray(wire.content) ? wire.content : []
  const own = blocks.filter(block => isJsonObject(block) && typeof block.id === 'string' && isPicked(block.id))
  return { id: randomUUID(), content: own.length > 0 ? own : '', usage_metadata: undefined }
}
