import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { isJsonObject, JsonObject } from '../../sessions/session.ts'
import type { Decision } from '../agent.ts'
import { describeCall, refuse, type Form } from './form.ts'

const ApprovalRequest = Type.Object({
  type: Type.Literal('approval_request'),
  tool_name: Type.String(),
  tool_call_id: Type.Optional(Type.String()),
  args: Type.Optional(JsonObject),
  description: Type.Optional(Type.String())
})

/** `interrupt('text')`, resumed by yes, no, or the person's own words. */
export const text: Form = {
  read: value => typeof value === 'string' ? [{ args: {}, description: value, allowedDecisions: ['approve', 'reject', 'respond'] }] : undefined,
  format: formatWord,
  parse: parseAnything
}

/** `interrupt({ type: 'approval_request', tool_name, … })`, resumed by yes or no. */
export const approvalRequest: Form = {
  read (value) {
    if (!Value.Check(ApprovalRequest, value)) return undefined
    const { tool_name: toolName, tool_call_id: toolCallId, args = {}, description = describeCall(toolName, args) } = value
    return [{ toolName, args, description, allowedDecisions: ['approve', 'reject'], ...(toolCallId !== undefined && { toolCallId }) }]
  },
  format: formatWord,
  parse: parseAnything
}

/** Any other value, asked by its `description`, `question` or `message`, else as JSON; resumed by yes or no. */
export const anyValue: Form = {
  read: value => [{ args: isJsonObject(value) ? value : {}, description: describeValue(value), allowedDecisions: ['approve', 'reject'] }],
  format: formatWord,
  parse: parseAnything
}

function formatWord (decisions: readonly Decision[]): string {
  const [decision] = decisions
  if (decision?.type === 'respond') return decision.message
  return decision?.type === 'approve' ? 'yes' : 'no'
}

function parseAnything (resume: unknown): Decision[] {
  // LangGraph takes null for no answer at all, and throws.
  if (resume === null || resume === undefined) throw refuse('resume must not be null: the graph would take it for no answer')
  return [{ type: 'resume', value: resume }]
}

function describeValue (value: unknown): string {
  if (isJsonObject(value)) {
    const said = [value.description, value.question, value.message].find(part => typeof part === 'string' && part.trim() !== '')
    if (typeof said === 'string') return said
  }
  return JSON.stringify(value) ?? 'Go on?'
}
