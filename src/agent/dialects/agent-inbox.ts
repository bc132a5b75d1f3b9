import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { JsonObject } from '../../sessions/session.ts'
import type { Decision, DecisionType } from '../agent.ts'
import { checkResume, describeCall, readEdit, type Asked, type Form } from './form.ts'

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

/** Agent Inbox's `HumanInterrupt` and `HumanResponse`: https://github.com/langchain-ai/agent-inbox */
export const agentInbox: Form = {
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
  parse: (resume, actions) => checkResume(Type.Array(HumanResponse), resume).map((response, index): Decision => {
    if (response.type === 'edit') return readEdit(response.args.action, response.args.args, actions[index], index)
    if (response.type === 'response') return { type: 'respond', message: response.args }
    return { type: response.type === 'accept' ? 'approve' : 'reject' }
  })
}
