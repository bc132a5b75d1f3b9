import { createHash } from 'node:crypto'
import { Validator } from '@cfworker/json-schema'
import { isInteropZodSchema, interopSafeParse } from '@langchain/core/utils/types'
import { Value } from '@sinclair/typebox/value'
import { isJsonObject, type JsonObject } from '../sessions/session.ts'
import type { Action, Decision, Question } from './agent.ts'
import { formatResumeValue, parseResumeValue, readInterruptValue } from './dialects.ts'
import { refuse } from './dialects/form.ts'

/** An interrupt as LangGraph reports it. */
export interface Interrupt {
  readonly id: string
  readonly value: unknown
  /** The step of the graph that asks. */
  readonly node: string
  /** Whether a graph within that step asks. */
  readonly isNested?: boolean
}

/** A tool call of an AI message. */
export interface ToolCall {
  readonly id?: string | undefined
  readonly name: string
  readonly args: JsonObject
}

/** What a thread waits with, and what it looked like when it asked. */
export interface WaitingThread {
  /** In the graph's order. */
  readonly interrupts: readonly Interrupt[]
  /** Of the thread's last AI message. */
  readonly toolCalls: readonly ToolCall[]
  /** What the last AI message says. */
  readonly text: string
  readonly messageCount: number
}

/** A tool whose arguments can be checked. */
export interface CheckedTool {
  readonly name: string
  /** A zod schema or a JSON schema. */
  readonly schema: unknown
}

/** All the interrupts that a thread waits with as one question; undefined if there are none. */
export function readQuestion ({ interrupts, toolCalls, text, messageCount }: WaitingThread): Question | undefined {
  if (interrupts.length === 0) return undefined
  const unmatched = [...toolCalls]
  const actions = interrupts.flatMap(({ value, node, isNested = false }, interrupt): Action[] => {
    const { dialect, asked } = readInterruptValue(value)
    return asked.map(({ toolName, toolCallId, ...rest }) => {
      // A request does not name its call; calls and requests stand in the same order, so the first equal one is it.
      const index = unmatched.findIndex(call => call.name === toolName && Value.Equal(call.args, rest.args))
      const [call] = index < 0 ? [] : unmatched.splice(index, 1)
      return { ...rest, toolName: toolName ?? node, toolCallId: toolCallId ?? call?.id ?? '', dialect, interrupt, ...(isNested && { isNested }) }
    })
  })
  // The ids of the calls tell two equal questions apart, and where there is no call the length of the thread does: the ids of the interrupts, and of
  // checkpoints, would not survive the question being asked again after a failure.
  const shown = [actions.map(action => action.toolCallId === '' ? messageCount : action.toolCallId), interrupts.map(({ node, value }) => [node, value])]
  const fingerprint = createHash('sha256').update(JSON.stringify(shown)).digest('base64url')
  return { fingerprint, actions, text }
}

/** Throws DECISION_REFUSED unless the decisions fit the question; see `Agent.checkDecisions`. */
export function checkDecisions ({ actions }: Question, decisions: readonly Decision[], tools: readonly CheckedTool[]): void {
  if (decisions.length !== actions.length) {
    throw refuse(`The question covers ${actions.length} action(s), received ${decisions.length} decision(s)`)
  }
  for (const [index, decision] of decisions.entries()) {
    const action = actions[index]
    if (decision.type === 'resume') checkValue(decision.value)
    else if (action === undefined || !action.allowedDecisions.includes(decision.type)) {
      throw refuse(`Action ${index + 1} allows ${action?.allowedDecisions.join(', ')}, received ${decision.type}`)
    }
    if (action !== undefined && decision.type === 'edit') checkArguments(action, decision.args, tools)
  }
  for (const group of groupByInterrupt(actions)) checkNested(group, decisions)
}

/** LangChain's middleware drops what is allowed beside a rejected call. In a graph within the graph that cannot be mended (see `composeResume`). */
function checkNested ({ dialect, actions, start }: Group, decisions: readonly Decision[]): void {
  if (dialect !== 'langchain' || !actions.some(action => action.isNested)) return
  const rejected = decisions.slice(start, start + actions.length).filter(decision => decision.type === 'reject')
  if (rejected.length > 0 && rejected.length < actions.length) {
    throw refuse('The agent asks from within another one, which takes one answer for all of these actions: approve all or reject all')
  }
}

/**
 * Reads a graph's own resume value as decisions; throws DECISION_REFUSED if the graph would refuse it. Where several interrupts wait, it is an array
 * of their values, in the order of the question.
 */
export function parseResume ({ actions }: Question, resume: unknown): Decision[] {
  const groups = groupByInterrupt(actions)
  const [only] = groups
  if (only !== undefined && groups.length === 1) return parseResumeValue(only.dialect, resume, only.actions)
  if (!Array.isArray(resume) || resume.length !== groups.length) {
    throw refuse(`resume must be an array of ${groups.length} values, one for each of the questions`)
  }
  return groups.flatMap((group, index) => parseResumeValue(group.dialect, resume[index], group.actions))
}

/** The values that resume the interrupts, one for each, in their order; one decision for each action. */
export function formatResume ({ actions }: Question, decisions: readonly Decision[]): unknown[] {
  return groupByInterrupt(actions).map(group => {
    const own = decisions.slice(group.start, group.start + group.actions.length)
    return formatResumeValue(group.dialect, own, group.actions)
  })
}

/** Which tool calls a run may make: those that these decisions say yes to. An empty id stands for what is no tool call. */
export function listApproved ({ actions }: Question, decisions: readonly Decision[]): string[] {
  return actions.flatMap(({ toolCallId }, index) => {
    const decision = decisions[index]
    // A graph's own value, and a person's own words, may lead to anything.
    return decision === undefined || decision.type === 'reject' ? [] : toolCallId
  })
}

/**
 * Whether the end of a question that nobody answers is to be told to the graph as a no: where it is about no tool call, whose result could say it,
 * and a no is no answer of another kind (to an interrupt with a text it may be).
 */
export function canBeToldNo ({ actions }: Question): boolean {
  const others = actions.filter(action => action.toolCallId === '')
  return others.length > 0 && others.every(({ dialect }) => dialect === 'approval_request' || dialect === 'value') &&
    actions.every(action => action.allowedDecisions.includes('reject'))
}

interface Group {
  readonly dialect: Action['dialect']
  readonly actions: Action[]
  /** Of its first action in the question. */
  readonly start: number
}

function groupByInterrupt (actions: readonly Action[]): Group[] {
  const groups: Group[] = []
  for (const [index, action] of actions.entries()) {
    const group = groups[action.interrupt]
    if (group === undefined) groups[action.interrupt] = { dialect: action.dialect, actions: [action], start: index }
    else group.actions.push(action)
  }
  return groups
}

function checkValue (value: unknown): void {
  if (value === null || value === undefined) throw refuse('resume must not be null: the graph would take it for no answer')
  if (holdsConstructor(value)) throw refuse('resume holds a reserved object (lc)')
}

function checkArguments ({ toolName, argsSchema }: Action, args: JsonObject, tools: readonly CheckedTool[]): void {
  if (holdsConstructor(args)) throw refuse(`The arguments of ${toolName} hold a reserved object (lc)`)
  for (const schema of [tools.find(tool => tool.name === toolName)?.schema, argsSchema]) {
    const problem = findProblem(schema, args)
    if (problem !== undefined) throw refuse(`The arguments of ${toolName} do not fit: ${problem}`)
  }
}

function findProblem (schema: unknown, args: JsonObject): string | undefined {
  if (isInteropZodSchema(schema)) {
    const result = interopSafeParse(schema, args)
    const issue = result.success ? undefined : result.error.issues[0]
    return issue === undefined ? undefined : `${issue.path.join('.')}: ${issue.message}`
  }
  if (!isJsonObject(schema)) return undefined
  const { valid, errors } = new Validator(schema, '2020-12', true).validate(args)
  // The last one is about the innermost value.
  const problem = errors.at(-1)
  return valid ? undefined : `${problem?.instanceLocation.replace(/^#\/?/, '').replaceAll('/', '.')}: ${problem?.error}`
}

/** LangChain revives objects of this form when it loads a thread, and a thread with an unknown one can never be loaded again. */
function holdsConstructor (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return 'lc' in value || Object.values(value).some(holdsConstructor)
}
