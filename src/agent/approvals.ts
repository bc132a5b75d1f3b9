import { createHash } from 'node:crypto'
import { isInteropZodSchema, interopSafeParse } from '@langchain/core/utils/types'
import type { StateSnapshot } from '@langchain/langgraph'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ServiceError } from '../errors.ts'
import { JsonObject } from '../sessions/session.ts'
import { isAiMessage, readMessages } from './messages.ts'
import { DecisionType, type Action, type Decision, type Question } from './agent.ts'
import type { RunContext } from './run-context.ts'

/** What `humanInTheLoopMiddleware` interrupts with (LangChain's `HITLRequest`). */
const HitlRequest = Type.Object({
  actionRequests: Type.Array(Type.Object({ name: Type.String(), args: JsonObject, description: Type.Optional(Type.String()) }), { minItems: 1 }),
  reviewConfigs: Type.Array(Type.Object({ actionName: Type.String(), allowedDecisions: Type.Array(DecisionType) }))
})

/** What it is resumed by (LangChain's `HITLResponse`). */
const HitlResponse = Type.Object({
  decisions: Type.Array(Type.Union([
    Type.Object({ type: Type.Literal('approve') }),
    Type.Object({ type: Type.Literal('edit'), editedAction: Type.Object({ name: Type.String(), args: JsonObject }) }),
    Type.Object({ type: Type.Literal('reject'), message: Type.Optional(Type.String()) })
  ]))
})

interface ToolCall {
  readonly id?: string | undefined
  readonly name: string
  readonly args: JsonObject
}

/** Which calls a run may make. */
export type Verdict = Pick<RunContext, 'approved' | 'rejected'>

/** For a run that nobody was asked about. */
export const NO_VERDICT: Verdict = { approved: [], rejected: {} }

/** A tool whose arguments can be checked. */
export interface CheckedTool {
  readonly name: string
  readonly schema: unknown
}

/** The question that a thread waits with, and the interrupt that it is; undefined if there is none in a form that we know. */
export function readQuestion (snapshot: StateSnapshot): { id: string, question: Question } | undefined {
  const interrupt = snapshot.tasks.flatMap(task => task.interrupts)[0]
  if (interrupt?.id === undefined) return undefined
  const asked = readMessages(snapshot.values).findLast(message => isAiMessage(message))
  const question = parseQuestion(interrupt.value, asked?.tool_calls ?? [], asked?.text ?? '')
  return question === undefined ? undefined : { id: interrupt.id, question }
}

/** Reads an interrupt's value as a question; undefined if it is in no form that we know. `toolCalls` are those of the thread's last AI message. */
function parseQuestion (value: unknown, toolCalls: readonly ToolCall[], text: string): Question | undefined {
  if (!Value.Check(HitlRequest, value)) return undefined
  const { actionRequests, reviewConfigs } = value
  const unmatched = [...toolCalls]
  const actions = actionRequests.map(({ name, args, description }): Action => {
    // The request does not name its call; calls and requests stand in the same order, so the first equal one is it.
    const index = unmatched.findIndex(call => call.name === name && Value.Equal(call.args, args))
    const [call] = index < 0 ? [] : unmatched.splice(index, 1)
    const allowedDecisions = reviewConfigs.find(config => config.actionName === name)?.allowedDecisions ?? []
    return { toolName: name, toolCallId: call?.id ?? '', args, description: description ?? `Run ${name}`, allowedDecisions }
  })
  // The ids of the calls tell two equal questions apart; a checkpoint's id would not survive the question being asked again after a failure.
  const shown = [actions.map(action => action.toolCallId), value]
  const fingerprint = createHash('sha256').update(JSON.stringify(shown)).digest('base64url')
  return { fingerprint, actions, text }
}

/** Throws DECISION_REFUSED unless the decisions fit the question; see `Agent.checkDecisions`. */
export function checkDecisions (question: Question, decisions: readonly Decision[], tools: readonly CheckedTool[]): void {
  const { actions } = question
  if (decisions.length !== actions.length) {
    throw refusal(`The question covers ${actions.length} action(s), received ${decisions.length} decision(s)`)
  }
  for (const [index, decision] of decisions.entries()) {
    const action = actions[index]
    if (action === undefined || !action.allowedDecisions.includes(decision.type)) {
      throw refusal(`Action ${index + 1} allows ${action?.allowedDecisions.join(', ')}, received ${decision.type}`)
    }
    if (decision.type === 'edit') checkArguments(action, decision.args, tools)
  }
}

/** Reads LangChain's own resume value as decisions; throws DECISION_REFUSED if the middleware would. */
export function parseResume (question: Question, resume: unknown): Decision[] {
  if (!Value.Check(HitlResponse, resume)) {
    const problem = Value.Errors(HitlResponse, resume).First()
    throw refusal(`resume${problem?.path ?? ''} does not fit the question: ${problem?.message ?? 'expected {decisions: [...]}'}`)
  }
  return resume.decisions.map((decision, index) => {
    if (decision.type !== 'edit') return decision
    const { name, args } = decision.editedAction
    // Another tool than the one that the person was shown would be an approval of something unseen.
    if (name !== question.actions[index]?.toolName) throw refusal(`Action ${index + 1} is a call of ${question.actions[index]?.toolName}, received ${name}`)
    return { type: 'edit', args }
  })
}

/** The value that resumes the middleware; rejected calls pass as approved here and are answered by the guard (see `guardTools`). */
export function formatResume (question: Question, decisions: readonly Decision[]): { decisions: object[] } {
  return {
    decisions: decisions.map((decision, index) => {
      if (decision.type !== 'edit') return { type: 'approve' }
      return { type: 'edit', editedAction: { name: question.actions[index]?.toolName, args: decision.args } }
    })
  }
}

/** The decisions as the guarded tools of the run need them; see `guardTools`. */
export function splitDecisions ({ actions }: Question, decisions: readonly Decision[]): Verdict {
  const approved: string[] = []
  const rejected: Record<string, string> = {}
  for (const [index, { toolCallId }] of actions.entries()) {
    const decision = decisions[index]
    if (decision?.type === 'approve' || decision?.type === 'edit') approved.push(toolCallId)
    else rejected[toolCallId] = decision?.message ?? 'The person rejected this call.'
  }
  return { approved, rejected }
}

function checkArguments (action: Action, args: JsonObject, tools: readonly CheckedTool[]): void {
  if (holdsConstructor(args)) throw refusal(`The arguments of ${action.toolName} hold a reserved object (lc)`)
  const schema = tools.find(tool => tool.name === action.toolName)?.schema
  if (!isInteropZodSchema(schema)) return
  const result = interopSafeParse(schema, args)
  if (result.success) return
  const issue = result.error.issues[0]
  throw refusal(`The arguments of ${action.toolName} do not fit: ${issue?.path.join('.')}: ${issue?.message}`)
}

/** LangChain revives objects of this form when it loads a thread, and a thread with an unknown one can never be loaded again. */
function holdsConstructor (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return 'lc' in value || Object.values(value).some(holdsConstructor)
}

function refusal (message: string): ServiceError {
  return new ServiceError('DECISION_REFUSED', { message })
}
