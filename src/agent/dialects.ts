import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ServiceError } from '../errors.ts'
import { isJsonObject, JsonObject } from '../sessions/session.ts'
import { DecisionType, type Action, type Decision, type Dialect } from './agent.ts'

/** What a graph asks about in one action, before its tool call is known. */
export type Asked = Pick<Action, 'args' | 'description' | 'allowedDecisions'> & Partial<Pick<Action, 'toolName' | 'toolCallId' | 'argsSchema'>>

/** One form in which graphs ask, and in which they want to be answered. */
interface Form {
  /** What a value of this form asks about, at least one action; undefined if it is of another form. */
  read (value: unknown): Asked[] | undefined
  /** The value that resumes the interrupt; one decision for each of its actions. */
  format (decisions: readonly Decision[], actions: readonly Action[]): unknown
  /** Reads a resume value of this form as decisions; throws DECISION_REFUSED. */
  parse (resume: unknown, actions: readonly Action[]): Decision[]
}

// LangChain: `humanInTheLoopMiddleware`, https://docs.langchain.com/oss/javascript/langchain/human-in-the-loop

const ReviewRequest = Type.Object({ name: Type.String(), args: JsonObject, description: Type.Optional(Type.String()) })
const AllowedDecisions = Type.Array(Type.String())

const LangChainValue = Type.Object({
  actionRequests: Type.Array(ReviewRequest, { minItems: 1 }),
  reviewConfigs: Type.Array(Type.Object({ actionName: Type.String(), allowedDecisions: AllowedDecisions, argsSchema: Type.Optional(JsonObject) }))
})

const PythonValue = Type.Object({
  action_requests: Type.Array(ReviewRequest, { minItems: 1 }),
  review_configs: Type.Array(Type.Object({ action_name: Type.String(), allowed_decisions: AllowedDecisions, args_schema: Type.Optional(JsonObject) }))
})

const EditedAction = Type.Object({ name: Type.String(), args: JsonObject })
const Approve = Type.Object({ type: Type.Literal('approve') })
const Reject = Type.Object({ type: Type.Literal('reject'), message: Type.Optional(Type.String()) })
const Respond = Type.Object({ type: Type.Literal('respond'), message: Type.String() })

const LangChainResume = Type.Object({
  decisions: Type.Array(Type.Union([Approve, Type.Object({ type: Type.Literal('edit'), editedAction: EditedAction }), Reject, Respond]))
})
const PythonResume = Type.Object({
  decisions: Type.Array(Type.Union([Approve, Type.Object({ type: Type.Literal('edit'), edited_action: EditedAction }), Reject, Respond]))
})

const langchain: Form = {
  read (value) {
    if (!Value.Check(LangChainValue, value)) return undefined
    return value.actionRequests.map(request => {
      const config = value.reviewConfigs.find(({ actionName }) => actionName === request.name)
      return readRequest(request, config?.allowedDecisions, config?.argsSchema)
    })
  },
  format: (decisions, actions) => ({
    decisions: decisions.map((decision, index) => decision.type === 'edit'
      ? { type: 'edit', editedAction: { name: actions[index]?.toolName, args: decision.args } }
      : decision)
  }),
  parse: (resume, actions) => check(LangChainResume, resume).decisions.map((decision, index) => decision.type === 'edit'
    ? readEdit(decision.editedAction, actions[index], index)
    : decision)
}

/** The same in Python's spelling. */
const langchainPython: Form = {
  read (value) {
    if (!Value.Check(PythonValue, value)) return undefined
    return value.action_requests.map(request => {
      const config = value.review_configs.find(review => review.action_name === request.name)
      return readRequest(request, config?.allowed_decisions, config?.args_schema)
    })
  },
  format: (decisions, actions) => ({
    decisions: decisions.map((decision, index) => decision.type === 'edit'
      ? { type: 'edit', edited_action: { name: actions[index]?.toolName, args: decision.args } }
      : decision)
  }),
  parse: (resume, actions) => check(PythonResume, resume).decisions.map((decision, index) => decision.type === 'edit'
    ? readEdit(decision.edited_action, actions[index], index)
    : decision)
}

// Agent Inbox: `HumanInterrupt` and `HumanResponse`, https://github.com/langchain-ai/agent-inbox

const ActionRequest = Type.Object({ action: Type.String(), args: JsonObject })
const HumanInterrupt = Type.Object({
  action_request: ActionRequest,
  config: Type.Object({
    allow_accept: Type.Optional(Type.Boolean()),
    allow_edit: Type.Optional(Type.Boolean()),
    allow_respond: Type.Optional(Type.Boolean()),
    allow_ignore: Type.Optional(Type.Boolean())
  }),
  description: Type.Optional(Type.String())
})
const HumanResponse = Type.Union([
  Type.Object({ type: Type.Literal('accept') }),
  Type.Object({ type: Type.Literal('ignore') }),
  Type.Object({ type: Type.Literal('response'), args: Type.String() }),
  Type.Object({ type: Type.Literal('edit'), args: ActionRequest })
])

const agentInbox: Form = {
  read (value) {
    const requests: unknown[] = Array.isArray(value) ? value : [value]
    if (requests.length === 0 || !requests.every(request => Value.Check(HumanInterrupt, request))) return undefined
    return requests.map(({ action_request: { action, args }, config, description }): Asked => {
      const allowed: [DecisionType, boolean | undefined][] = [
        ['approve', config.allow_accept], ['edit', config.allow_edit], ['reject', config.allow_ignore], ['respond', config.allow_respond]
      ]
      const allowedDecisions = allowed.flatMap(([type, isAllowed]) => isAllowed === true ? type : [])
      return { toolName: action, args, description: description ?? describeCall(action, args), allowedDecisions }
    })
  },
  format: (decisions, actions) => decisions.map((decision, index) => {
    switch (decision.type) {
      case 'edit': return { type: 'edit', args: { action: actions[index]?.toolName, args: decision.args } }
      case 'respond': return { type: 'response', args: decision.message }
      case 'reject': return { type: 'ignore', args: decision.message ?? null }
      default: return { type: 'accept', args: null }
    }
  }),
  parse: (resume, actions) => check(Type.Array(HumanResponse), resume).map((response, index): Decision => {
    if (response.type === 'edit') return readEdit({ name: response.args.action, args: response.args.args }, actions[index], index)
    if (response.type === 'response') return { type: 'respond', message: response.args }
    return { type: response.type === 'accept' ? 'approve' : 'reject' }
  })
}

// Plain interrupts, which are told yes or no.

const ApprovalRequest = Type.Object({
  type: Type.Literal('approval_request'),
  tool_name: Type.String(),
  tool_call_id: Type.Optional(Type.String()),
  args: Type.Optional(JsonObject),
  description: Type.Optional(Type.String())
})

const text: Form = {
  read: value => typeof value === 'string' ? [{ args: {}, description: value, allowedDecisions: ['approve', 'reject', 'respond'] }] : undefined,
  format: formatWord,
  parse: parseAnything
}

const approvalRequest: Form = {
  read (value) {
    if (!Value.Check(ApprovalRequest, value)) return undefined
    const { tool_name: toolName, tool_call_id: toolCallId, args = {}, description = describeCall(toolName, args) } = value
    return [{ toolName, args, description, allowedDecisions: ['approve', 'reject'], ...(toolCallId !== undefined && { toolCallId }) }]
  },
  format: formatWord,
  parse: parseAnything
}

const anyValue: Form = {
  read: value => [{ args: isJsonObject(value) ? value : {}, description: describeValue(value), allowedDecisions: ['approve', 'reject'] }],
  format: formatWord,
  parse: parseAnything
}

/** In the order in which they are tried: the last one takes everything. */
const FORMS: Readonly<Record<Dialect, Form>> = {
  langchain, langchain_python: langchainPython, agent_inbox: agentInbox, text, approval_request: approvalRequest, value: anyValue
}
const DIALECTS = Object.entries(FORMS).map(([name, form]) => ({ name, form }))

/** What an interrupt's value asks about, and in which form. */
export function readInterruptValue (value: unknown): { dialect: Dialect, asked: readonly Asked[] } {
  for (const { name, form } of DIALECTS) {
    const asked = form.read(value)
    if (asked !== undefined && isDialect(name)) return { dialect: name, asked }
  }
  return { dialect: 'value', asked: anyValue.read(value) ?? [] }
}

/** The value that resumes an interrupt: one decision for each of its actions, or the graph's own value as the one decision. */
export function formatResumeValue (dialect: Dialect, decisions: readonly Decision[], actions: readonly Action[]): unknown {
  const [first] = decisions
  return first?.type === 'resume' ? first.value : FORMS[dialect].format(decisions, actions)
}

/** Reads an interrupt's own resume value as decisions; throws DECISION_REFUSED if the graph would refuse it. */
export function parseResumeValue (dialect: Dialect, resume: unknown, actions: readonly Action[]): Decision[] {
  return FORMS[dialect].parse(resume, actions)
}

function isDialect (name: string): name is Dialect {
  return Object.hasOwn(FORMS, name)
}

type ReviewRequest = Static<typeof ReviewRequest>

function readRequest ({ name, args, description }: ReviewRequest, allowed: readonly string[] = [], argsSchema?: JsonObject): Asked {
  const allowedDecisions = allowed.filter(type => Value.Check(DecisionType, type))
  return { toolName: name, args, description: description ?? describeCall(name, args), allowedDecisions, ...(argsSchema !== undefined && { argsSchema }) }
}

function readEdit ({ name, args }: Static<typeof EditedAction>, action: Action | undefined, index: number): Decision {
  // Another tool than the one that the person was shown would be an approval of something unseen.
  if (name !== action?.toolName) throw refuse(`Action ${index + 1} is a call of ${action?.toolName}, received ${name}`)
  return { type: 'edit', args }
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

function check<T extends Parameters<typeof Value.Check>[0]> (schema: T, resume: unknown): Static<T> {
  if (Value.Check(schema, resume)) return resume
  const problem = Value.Errors(schema, resume).First()
  throw refuse(`resume${problem?.path ?? ''} does not fit the question: ${problem?.message ?? 'it has another form'}`)
}

function describeCall (name: string, args: JsonObject): string {
  return Object.keys(args).length === 0 ? `Run ${name}` : `Run ${name} with ${JSON.stringify(args)}`
}

function describeValue (value: unknown): string {
  if (isJsonObject(value)) {
    const said = [value.description, value.question, value.message].find(part => typeof part === 'string' && part.trim() !== '')
    if (typeof said === 'string') return said
  }
  return JSON.stringify(value) ?? 'Go on?'
}

function refuse (message: string): ServiceError {
  return new ServiceError('DECISION_REFUSED', { message })
}
