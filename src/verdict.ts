import type { Agent, Decision, Question } from './agent/agent.ts'
import { ServiceError } from './errors.ts'
import type { JsonObject } from './sessions/session.ts'

/** The three ways in which `/api/approve` takes a decision. */
export type Verdict =
  | { readonly approved: boolean, readonly editedArgs?: JsonObject | undefined, readonly message?: string | undefined }
  | { readonly decisions: readonly { readonly type: Decision['type'], readonly args?: JsonObject | undefined, readonly message?: string | undefined }[] }
  | { readonly resume: unknown }

/** A verdict as one decision for each action, held against the question. Throws DECISION_REFUSED; nothing has happened then. */
export function readVerdict (agent: Agent, question: Question, verdict: Verdict): Decision[] {
  const decisions = readDecisions(agent, question, verdict)
  agent.checkDecisions(question, decisions)
  return decisions
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

function readDecision ({ type, args, message }: { type: Decision['type'], args?: JsonObject | undefined, message?: string | undefined }): Decision {
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
