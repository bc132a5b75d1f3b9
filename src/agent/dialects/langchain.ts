import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { JsonObject } from '../../sessions/session.ts'
import { DecisionType } from '../agent.ts'
import { checkResume, describeCall, readEdit, type Asked, type Form } from './form.ts'

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

/** `humanInTheLoopMiddleware`: https://docs.langchain.com/oss/javascript/langchain/human-in-the-loop */
export const langchain: Form = {
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
  parse: (resume, actions) => checkResume(LangChainResume, resume).decisions.map((decision, index) => decision.type === 'edit'
    ? readEdit(decision.editedAction.name, decision.editedAction.args, actions[index], index)
    : decision)
}

/** The same in Python's spelling: https://docs.langchain.com/oss/python/langchain/human-in-the-loop */
export const langchainPython: Form = {
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
  parse: (resume, actions) => checkResume(PythonResume, resume).decisions.map((decision, index) => decision.type === 'edit'
    ? readEdit(decision.edited_action.name, decision.edited_action.args, actions[index], index)
    : decision)
}

type ReviewRequest = Static<typeof ReviewRequest>

function readRequest (request: ReviewRequest, allowed: readonly string[] = [], argsSchema?: JsonObject): Asked {
  const { name, args, description = describeCall(name, args) } = request
  const allowedDecisions = allowed.filter(type => Value.Check(DecisionType, type))
  return { toolName: name, args, description, allowedDecisions, ...(argsSchema !== undefined && { argsSchema }) }
}
