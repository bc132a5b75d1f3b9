import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { JsonObject } from '../src/sessions/session.ts'
import { Platform, SessionId, TURN_RESPONSES, TurnHeaders, UserId } from './schemas.ts'
import { answerTurn } from './turn-answer.ts'

const ChatBody = Type.Object({
  user_id: UserId,
  message: Type.String({ minLength: 1, maxLength: 32_000 }),
  platform: Type.Optional(Platform),
  metadata: Type.Optional(JsonObject),
  session_id: Type.Optional(SessionId),
  approval_id: Type.Optional(Type.String({ description: 'The question that this message answers' }))
})

const schema = {
  operationId: 'chat',
  summary: 'Send a message and get the answer of the agent, or its question',
  tags: ['chat'],
  headers: TurnHeaders,
  body: ChatBody,
  response: TURN_RESPONSES
}

/** `POST /api/chat`: one message in, one answer out. */
const chat: FastifyPluginAsyncTypebox = async function chat (fastify) {
  fastify.post('/api/chat', { schema, config: { speaksToPerson: true } }, async function sayMessage (request, reply) {
    const { body, log } = request
    const message = {
      userId: body.user_id,
      message: body.message,
      platform: body.platform,
      metadata: body.metadata,
      sessionId: body.session_id,
      approvalId: body.approval_id
    }
    return await answerTurn(fastify.turnDesk, request, reply, {
      route: 'chat',
      messageId: body.metadata?.message_id,
      run: async asker => await fastify.conversation.chat(message, log, asker)
    })
  })
}

export default chat
