import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from '@sinclair/typebox'
import { DecisionType } from '../src/agent/agent.ts'
import { ServiceError } from '../src/errors.ts'
import { JsonObject } from '../src/sessions/session.ts'
import type { Verdict } from '../src/verdict.ts'
import { APPROVE_REQUESTS } from './examples.ts'
import { ChatAnswer, Platform, SessionId, TurnHeaders, UserId } from './schemas.ts'
import { answerTurn } from './turn-answer.ts'
import { TURN_DOCUMENTATION } from './turn-documentation.ts'

const Decision = Type.Object({
  type: Type.Unsafe<Static<typeof DecisionType>>({ type: 'string', enum: DecisionType.anyOf.map(literal => literal.const) }),
  args: Type.Optional(Type.Unsafe<JsonObject>({ ...JsonObject, description: 'With edit: the arguments instead' })),
  message: Type.Optional(Type.String({ description: 'With reject, the reason; with respond, the response' }))
}, { title: 'Decision' })

const ApproveBody = Type.Object({
  user_id: UserId,
  session_id: SessionId,
  approved: Type.Optional(Type.Boolean({ description: 'Yes or no, to all actions' })),
  decisions: Type.Optional(Type.Array(Decision, { description: 'One for each action, as shown' })),
  resume: Type.Optional(Type.Unknown({ description: 'Handed to the graph as it is' })),
  platform: Type.Optional(Type.String({ ...Platform, description: 'The session\'s, if not given' })),
  approval_id: Type.Optional(Type.String({ description: 'The question that is meant; the one that waits if not given' })),
  user_profile: Type.Optional(Type.Unsafe<JsonObject>({ ...JsonObject, description: 'As metadata.user_profile of chat' })),
  edited_args: Type.Optional(Type.Unsafe<JsonObject>({ ...JsonObject, description: 'With approved: true, the arguments instead' })),
  message: Type.Optional(Type.String({ maxLength: 32_000, description: 'With approved: false, the reason' }))
}, { title: 'ApproveRequest' })

const schema = {
  operationId: 'approve',
  summary: 'Answer the question that a session waits with',
  description: [
    'By exactly one of `approved`, `decisions` and `resume`. What does not fit the question is refused with 422 and leaves it open. An approved tool runs at',
    'most once; of simultaneous decisions one wins. The resumed agent may ask again, under a new `approval_id`.'
  ].join(' '),
  tags: ['chat'],
  headers: TurnHeaders,
  body: ApproveBody,
  response: { 200: ChatAnswer }
}

const documentation = {
  ...TURN_DOCUMENTATION,
  requests: APPROVE_REQUESTS,
  errors: [...TURN_DOCUMENTATION.errors, 'APPROVAL_OUTCOME_UNKNOWN', 'DECISION_REFUSED'] as const
}

/** `POST /api/approve`: one decision in, the resumed agent's answer out. */
const approve: FastifyPluginAsyncTypebox = async function approve (fastify) {
  fastify.post('/api/approve', { schema, config: { scope: 'approve', speaksToPerson: true, documentation } }, async function decide (request, reply) {
    const { body, log } = request
    const decision = {
      userId: body.user_id,
      sessionId: body.session_id,
      verdict: readVerdict(body),
      platform: body.platform,
      metadata: body.user_profile === undefined ? undefined : { user_profile: body.user_profile },
      approvalId: body.approval_id,
      found: request.foundSession
    }
    return await answerTurn(fastify.turnDesk, request, reply, {
      route: 'approve',
      run: async asker => await fastify.conversation.decide(decision, log, asker)
    })
  })
}

/** Exactly one way to decide, or there is no telling which one was meant. */
function readVerdict ({ approved, decisions, resume, edited_args: editedArgs, message }: Static<typeof ApproveBody>): Verdict {
  const given = Object.entries({ approved, decisions, resume }).filter(([, value]) => value !== undefined).map(([name]) => name)
  if (given.length !== 1) throw invalid(`One of approved, decisions, resume is required, received ${given.join(' and ') || 'none'}`)
  if (editedArgs !== undefined && approved !== true) throw invalid('edited_args goes with approved: true')
  if (approved !== undefined) return { approved, editedArgs, message }
  return decisions === undefined ? { resume } : { decisions }
}

function invalid (message: string): ServiceError {
  return new ServiceError('REQUEST_INVALID', { message })
}

export default approve
