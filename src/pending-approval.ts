import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { DecisionType, type Question } from './agent/agent.ts'
import { KeyRecord } from './key-record.ts'
import { JsonObject } from './sessions/session.ts'
import { shortenVisibly, showHidden } from './visible-text.ts'

const Action = Type.Object({ tool_name: Type.String(), args: JsonObject, description: Type.String() }, { title: 'Action' })

/** Characters of what is asked in a message, all actions together: what chats take in one message leaves room for the agent's own words. */
const MAX_ASKED = 1500

/** Characters of an action that is told to have expired. */
const MAX_TOLD = 200

/** So many of each action, however many there are. */
const MIN_ASKED = 100

/** A question as clients see it. Its names and descriptions are for people, and show what hides in them; `args` are data, and exact. */
export const ApprovalData = Type.Object({
  type: Type.Literal('approval_request'),
  /** New with every question, and whenever a question is asked again because its answer was cut off. */
  approval_id: Type.String(),
  tool_name: Type.String(),
  tool_call_id: Type.String(),
  args: JsonObject,
  description: Type.String(),
  allowed_decisions: Type.Array(DecisionType),
  /** ISO 8601, UTC. */
  requested_at: Type.String(),
  /** ISO 8601, UTC; where approvals have a life of their own. */
  expires_at: Type.Optional(Type.String()),
  /** Where one question covers several tool calls: all of them, in order. */
  actions: Type.Optional(Type.Array(Action))
}, { title: 'ApprovalData' })
export type ApprovalData = Static<typeof ApprovalData>

/** A question as a session keeps it: what clients see, and under `holdline` what the service needs to know of it. */
export const PendingApproval = Type.Composite([ApprovalData, Type.Object({
  holdline: Type.Object({
    /** Which question of the thread this is. */
    fingerprint: Type.String(),
    /** ISO 8601; set, and saved, before the agent is resumed: found later, it says that an answer was cut off. */
    claimed_at: Type.Optional(Type.String()),
    /** With the claim: the tool calls that the answer allows. */
    approved: Type.Optional(Type.Array(Type.String())),
    /** With the claim of a message that has a key. */
    answered_by: Type.Optional(KeyRecord),
    /** An earlier answer was cut off: the person is told so as long as the question stands. */
    outcome_unknown: Type.Optional(Type.Boolean())
  })
})])
export type PendingApproval = Static<typeof PendingApproval>

/** Told to a person whose answer was cut off before its outcome was known. */
export const OUTCOME_UNKNOWN = 'My last attempt was cut off: the action may or may not have happened. Please check before you decide again.'

/** Told to a person whose answer took effect, while the reply to it was lost. */
export const REPLY_LOST = 'Your last decision took effect, but my reply to it was cut off.'

/** How to hold a question. */
export interface HoldOptions {
  readonly approvalId: string
  readonly nowMs: number
  readonly isOutcomeUnknown?: boolean
  /** How long it may wait for its answer; as long as the session if not given. */
  readonly timeoutMs?: number | undefined
}

/** A question of the agent as a session keeps it. */
export function holdQuestion (question: Question, { approvalId, nowMs, isOutcomeUnknown = false, timeoutMs }: HoldOptions): PendingApproval {
  const [first] = question.actions
  if (first === undefined) throw new Error('A question covers at least one action')
  const actions = question.actions.map(({ toolName, args, description }) => {
    return { tool_name: showHidden(toolName), args, description: showHidden(description, { isMultiline: true }) }
  })
  return {
    type: 'approval_request',
    approval_id: approvalId,
    tool_name: showHidden(first.toolName),
    tool_call_id: first.toolCallId,
    args: first.args,
    description: showHidden(first.description, { isMultiline: true }),
    allowed_decisions: first.allowedDecisions.filter(type => question.actions.every(action => action.allowedDecisions.includes(type))),
    requested_at: new Date(nowMs).toISOString(),
    ...(timeoutMs !== undefined && { expires_at: new Date(nowMs + timeoutMs).toISOString() }),
    ...(actions.length > 1 && { actions }),
    holdline: { fingerprint: question.fingerprint, ...(isOutcomeUnknown && { outcome_unknown: true }) }
  }
}

/** The same question, its answer under way; `approved` are the ids of the tool calls that the answer allows. */
export function claimApproval (approval: PendingApproval, nowMs: number, approved: readonly string[], key?: KeyRecord): PendingApproval {
  const claim = { claimed_at: new Date(nowMs).toISOString(), approved: [...approved], ...(key !== undefined && { answered_by: key }) }
  return { ...approval, holdline: { ...approval.holdline, ...claim } }
}

/** Whether a question has waited too long for its answer. */
export function hasExpired ({ expires_at: expiresAt }: PendingApproval, nowMs: number): boolean {
  return expiresAt !== undefined && nowMs >= Date.parse(expiresAt)
}

/** What was asked, in one line: for the very reply that ends the question, since nothing keeps it beyond. */
export function describeAsked (approval: PendingApproval): string {
  return (approval.actions ?? [approval]).map(({ description }) => shortenVisibly(showHidden(description), MAX_TOLD)).join('; ')
}

/** Told to a person on the first message after a question expired. */
export function describeExpiry (what: string): string {
  return `Nobody answered in time, so this was not done: ${what}`
}

/** Told to the agent as the result of a call whose question expired. */
export const EXPIRED = 'The person did not answer in time: the approval expired, and the call was not made. Ask again if it is still wanted.'

/** Reads what a session keeps; undefined if nothing is pending, or in a form of another service's (a loaded file's). */
export function readPendingApproval (json: JsonObject | null): PendingApproval | undefined {
  return Value.Check(PendingApproval, json) ? json : undefined
}

/** What a session keeps as clients may see it. */
export function showApproval (json: JsonObject): JsonObject {
  const { holdline: _ours, ...shown } = json
  return shown
}

/**
 * The question as a text that a person can answer in any chat: what is asked, and how to answer.
 *
 * *Promise.* What is asked forges neither another action nor another way to answer: where it has several lines, they are marked, and none looks like
 * one of ours. The agent's own words before it ask nothing in our name. What is too long for a chat says in its midst how much is left out; its end
 * is shown.
 */
export function describeQuestion (question: Question, approval: PendingApproval): string {
  const { actions } = question
  const lines = question.text === '' ? [] : [...showHidden(question.text, { isMultiline: true }).split('\n').map(markOurs), '']
  if (approval.holdline.outcome_unknown === true) {
    lines.push(OUTCOME_UNKNOWN, '')
  }
  lines.push(actions.length === 1 ? 'I need your approval:' : `I need your approval for ${actions.length} actions:`)
  const maxCharacters = Math.max(MIN_ASKED, Math.floor(MAX_ASKED / actions.length))
  for (const [index, action] of actions.entries()) {
    const description = describeAction(action, maxCharacters)
    lines.push(actions.length === 1 ? description : `${index + 1}. ${description}`)
  }
  lines.push('', ...describeAnswers(question, approval))
  return lines.join('\n')
}

/** How a line of ours begins that says what is asked, or how to answer. */
const OURS = /^\s*(?:answer\b|any other text|your next message|it cannot be answered|i need your approval|\d+\.|>)/i

/** The agent's own words number things, and speak of answers, as they like; but they ask nothing in our name. */
function markOurs (line: string): string {
  return /^\s*(?:i need your approval|answer (?:"|each by))/i.test(line) ? `> ${line}` : line
}

/** One line as it is, unless it looks like one of ours; several with a mark before each. */
function describeAction ({ description }: Question['actions'][number], maxCharacters: number): string {
  const text = shortenVisibly(showHidden(description, { isMultiline: true }), maxCharacters)
  const lines = text.split('\n')
  return lines.length === 1 && !OURS.test(text) ? text : ['', ...lines].join('\n> ').slice(1)
}

/** How a question may be answered in a chat; nothing but `/new` where it takes no decision that has words. */
function describeAnswers ({ actions }: Question, { allowed_decisions: allowed }: PendingApproval): string[] {
  if (actions.length > 1) return [describeAnswersToSeveral(actions, allowed)]
  const mayReject = allowed.includes('reject')
  const mayRespond = allowed.includes('respond')
  const words = listWords(allowed, '"yes"', '"no"')
  if (words === '') return [mayRespond ? 'Your next message is the answer.' : NO_WORDS]
  return [
    `Answer ${words}${mayReject ? '; "reject: <reason>" says why.' : '.'}`,
    ...(mayRespond ? ['Any other text is taken as your response.'] : [])
  ]
}

const NO_WORDS = 'It cannot be answered in words. "/new" starts a new conversation.'

function describeAnswersToSeveral (actions: Question['actions'], allowed: readonly DecisionType[]): string {
  const approvable = listNumbers(actions, 'approve')
  const rejectable = listNumbers(actions, 'reject')
  if (actions.some((_, index) => !approvable.includes(index + 1) && !rejectable.includes(index + 1))) return NO_WORDS
  const all = listWords(allowed, '"approve all"', '"reject all"')
  const reject = rejectable.find(number => number > 1) ?? rejectable[0]
  const approve = approvable.find(number => number !== reject)
  const mayDiffer = !actions.some(({ dialect, isNested = false }) => isNested && dialect === 'langchain')
  const each = !mayDiffer || reject === undefined || approve === undefined ? '' : `each by its number: "approve ${approve}, reject ${reject}: <reason>"`
  return `Answer ${[all, each].filter(way => way !== '').join(', or ')}.`
}

function listNumbers (actions: Question['actions'], type: DecisionType): number[] {
  return actions.flatMap(({ allowedDecisions }, index) => allowedDecisions.includes(type) ? index + 1 : [])
}

function listWords (allowed: readonly DecisionType[], approve: string, reject: string): string {
  return [...(allowed.includes('approve') ? [approve] : []), ...(allowed.includes('reject') ? [reject] : [])].join(' or ')
}
