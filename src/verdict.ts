import type { Agent, Decision, DecisionType, Question } from './agent/agent.ts'
import { parseDecisionWords } from './decision-words.ts'
import { ServiceError } from './errors.ts'
import type { JsonObject } from './sessions/session.ts'

/** The three ways in which `/api/approve` takes a decision. */
export type Verdict =
  | { readonly approved: boolean, readonly editedArgs?: JsonObject | undefined, readonly message?: string | undefined }
  | { readonly decisions: readonly { readonly type: DecisionType, readonly args?: JsonObject | undefined, readonly message?: string | undefined }[] }
  | { readonly resume: unknown }

/** A verdict as one decision for each action, held against the question. Throws DECISION_REFUSED; nothing has happened then. */
export function readVerdict (agent: Agent, question: Question, verdict: Verdict): Decision[] {
  const decisions = readDecisions(agent, question, verdict)
  agent.checkDecisions(question, decisions)
  return decisions
}

/**
 * A chat message as one decision for each action; undefined if it is none, or none that the question allows: in a chat there is nobody to read a
 * status code, so that it is asked again. Where the question takes a response, what is no decision that it allows is one. With `other` = reject, any
 * text that is no decision is the reason of a rejection.
 */
export function readWords (agent: Agent, question: Question, text: string, other: 'repeat' | 'reject'): Decision[] | undefined {
  const candidates = [parseDecisionWords(text, question.actions.length), readOtherText(question, text, other)]
  return candidates.find(decisions => decisions !== undefined && isAllowed(agent, question, decisions))
}

function isAllowed (agent: Agent, question: Question, decisions: readonly Decision[]): boolean {
  try {
    agent.checkDecisions(question, decisions)
    return true
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'DECISION_REFUSED') return false
    throw error
  }
}

function readOtherText ({ actions }: Question, text: string, other: 'repeat' | 'reject'): Decision[] | undefined {
  const [action] = actions
  if (actions.length === 1 && action?.allowedDecisions.includes('respond') === true) return [{ type: 'respond', message: text }]
  return other === 'reject' ? actions.map(() => ({ type: 'reject', message: text })) : undefined
}

function readDecisions (agent: Agent, question: Question, verdict: Verdict): Decision[] {
  if ('resume' in verdict) return agent.parseResume(question, verdict.resume)
  if ('decisions' in verdict) return verdict.decisions.map(readDecision)
  const { approved, editedArgs, message } = verdict
  if (!approved) return question.actions.map(() => ({ type: 'reject', ...(message !== undefined && { message }) }))
  if (editedArgs === undefined) return question.actions.map(() => ({ type: 'approve' }))
  if (question.actions.length > 1) {
    throw new ServiceError('DECISION_REFUSED', { message: 'edited_args fits a question about one action; send decisions for several' })
  }
  return [{ type: 'edit', args: editedArgs }]
}

function readDecision ({ type, args, message }: { type: DecisionType, args?: JsonObject | undefined, message?: string | undefined }): Decision {
  switch (type) {
    case 'approve': return { type }
    case 'edit':
      if (args === undefined) throw new ServiceError('DECISION_REFUSED', { message: 'A decision of type edit needs args' })
      return { type, args }
    case 'reject': return { type, ...(message !== undefined && { message }) }
    case 'respond':
      if (message === undefined) throw new ServiceError('DECISION_REFUSED', { message: 'A decision of type respond needs message' })
      return { type, message }
  }
}
