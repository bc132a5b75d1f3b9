import { randomUUID } from 'node:crypto'
import { ToolMessage } from '@langchain/core/messages'
import { Command } from '@langchain/langgraph'
import type { Action, Decision } from './agent.ts'
import { formatResume, type ToolCall } from './approvals.ts'
import type { Waiting } from './waiting.ts'

/** What the agent is told of a call that was rejected without a reason. */
export const REJECTED = 'The person rejected this call.'

/** The step in which `humanInTheLoopMiddleware` asks, as `createAgent` names it. */
const MIDDLEWARE_NODE = 'HumanInTheLoopMiddleware.after_model'

/** A decision about an action. */
interface Decided {
  readonly action: Action
  readonly decision: Decision
}

/**
 * The input that answers everything that a thread waits with; `openCalls` are the calls of its last AI message that have no result.
 *
 * By id: a bare value would answer every interrupt that is open at the same time.
 *
 * LangChain's middleware drops an approved call when one beside it is rejected, and leaves automatic ones without a result. `createAgent` runs those
 * calls of a message that have no result: so a rejected call beside others is given its result here, and passes the middleware as approved.
 */
export function composeResume ({ question, interrupts }: Waiting, decisions: readonly Decision[], openCalls: readonly ToolCall[]): Command {
  const decided = question.actions.flatMap((action, index): Decided[] => {
    const decision = decisions[index]
    return decision === undefined ? [] : [{ action, decision }]
  })
  const answered = interrupts.flatMap(({ node }, interrupt) => {
    if (node !== MIDDLEWARE_NODE) return []
    return findMixed(decided.filter(({ action }) => action.interrupt === interrupt), openCalls)
  })
  const isAnswered = (action: Action) => answered.some(one => one.action === action)
  const values = formatResume(question, decided.map(({ action, decision }) => isAnswered(action) ? { type: 'approve' } : decision))
  const resume = Object.fromEntries(interrupts.map(({ id }, index) => [id, values[index]]))
  if (answered.length === 0) return new Command({ resume })
  return new Command({ resume, update: { messages: answered.map(describeRejection) } })
}

/** The rejected ones, where other calls of the message are to run. */
function findMixed (decided: readonly Decided[], openCalls: readonly ToolCall[]): Decided[] {
  const asked = new Set(decided.map(({ action }) => action.toolCallId))
  const rejected = decided.filter(({ action, decision }) => action.dialect === 'langchain' && decision.type === 'reject')
  const isAlone = rejected.length === decided.length && openCalls.every(call => asked.has(call.id ?? ''))
  return isAlone ? [] : rejected
}

function describeRejection ({ action, decision }: Decided): ToolMessage {
  const reason = decision.type === 'reject' ? decision.message : undefined
  return new ToolMessage({ id: randomUUID(), content: reason ?? REJECTED, name: action.toolName, tool_call_id: action.toolCallId, status: 'error' })
}
