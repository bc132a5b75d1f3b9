import { type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ServiceError } from '../../errors.ts'
import type { JsonObject } from '../../sessions/session.ts'
import type { Action, Decision } from '../agent.ts'

/** What a graph asks about in one action, before its tool call is known. */
export type Asked = Pick<Action, 'args' | 'description' | 'allowedDecisions'> & Partial<Pick<Action, 'toolName' | 'toolCallId' | 'argsSchema'>>

/** One form in which graphs ask, and in which they want to be answered. */
export interface Form {
  /** What a value of this form asks about, at least one action; undefined if it is of another form. */
  read (value: unknown): Asked[] | undefined
  /** The value that resumes the interrupt; one decision for each of its actions. */
  format (decisions: readonly Decision[], actions: readonly Action[]): unknown
  /** Reads a resume value of this form as decisions; throws DECISION_REFUSED. */
  parse (resume: unknown, actions: readonly Action[]): Decision[]
}

/** A resume value, if it is of this schema; throws DECISION_REFUSED. */
export function checkResume<T extends Parameters<typeof Value.Check>[0]> (schema: T, resume: unknown): Static<T> {
  if (Value.Check(schema, resume)) return resume
  const problem = Value.Errors(schema, resume).First()
  throw refuse(`resume${problem?.path ?? ''} does not fit the question: ${problem?.message ?? 'it has another form'}`)
}

/** An edit of an action; throws DECISION_REFUSED for another tool than the one that was shown: it would be an approval of something unseen. */
export function readEdit (name: string, args: JsonObject, action: Action | undefined, index: number): Decision {
  if (name !== action?.toolName) throw refuse(`Action ${index + 1} is a call of ${action?.toolName}, received ${name}`)
  return { type: 'edit', args }
}

/** A call in words, for a question that has none of its own. */
export function describeCall (name: string, args: JsonObject): string {
  return Object.keys(args).length === 0 ? `Run ${name}` : `Run ${name} with ${JSON.stringify(args)}`
}

/** DECISION_REFUSED, and why. */
export function refuse (message: string): ServiceError {
  return new ServiceError('DECISION_REFUSED', { message })
}
