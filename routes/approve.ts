import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from '@sinclair/typebox'
import { DecisionType } from '../src/agent/agent.ts'
import { ServiceError } from '../src/errors.ts'
import { JsonObject } from '../src/sessions/session.ts'
import type { Verdict } from '../src/verdict.ts'
import { ErrorBody, Platform, SessionId, TURN_RESPONSES, TurnHeaders, UserId } from './schemas.ts'
import { answerTurn } from './turn-answer.ts'

const Decision = Type.Object({
  type: Type.Unsafe<Static<typeof DecisionType>>({ type: 'string', enum: DecisionType.anyOf.map(literal => literal.const) }),
  args: Type.Optional(JsonObject),
  message: Type.Optional(Type.String())
})

const ApproveBody = Type.Object({
  user_id: UserId,
  session_id: SessionId,
  approved: Type.Optional(Type.Boolean()),
  decisions: Type.Optional(Type.Array(Decision, { description: 'One for each action, as shown' })),
  resume: Type.Optional(Type.Unknown({ description: 'Handed to the graph as it is' })),
  platform: Type.Optional(Platform),
  approval_id: Type.Optional(Type.String()),
  user_profile: Type.Optional(JsonObject),
  edited_args: Type.Optional(JsonObject),
  message: Type.Optional(Type.String({ maxLength: 32_000, description: 'With approved: false, the reason' }))
})

const schema = {
  operationId: 'approve',
  summary: 'Answer the question that a session waits with',
  tags: ['chat'],
  headers: TurnHeaders,
  body: ApproveBody,
  response: { ...TURN_RESPONSES, 422: ErrorBody }
}

/** `POST /api/approve`: one decision in, the resumed agent's answer out. */
const approve: FastifyPluginAsyncTypebox = async function approve (fastify) {
  fastify.post('/api/approve', { schema, config: { speaksToPerson: true } }, async function decide (request, reply) {
    const { body, log } = request
    const decision = {
      userId: body.user_id,
      sessionId: body.session_id,
      verdict: readVerdict(body),
      platform: body.platform,
      metadata: body.user_profile === undefined ? undefined : { user_profile: body.user_profile },
      approvalId: body.approval_id
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
