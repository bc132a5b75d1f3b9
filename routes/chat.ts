import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { JsonObject } from '../src/sessions/session.ts'
import { formatReply, Platform, SessionId, TURN_RESPONSES, UserId } from './schemas.ts'

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
  body: ChatBody,
  response: TURN_RESPONSES
}

/** `POST /api/chat`: one message in, one answer out. */
const chat: FastifyPluginAsyncTypebox = async function chat (fastify) {
  fastify.post('/api/chat', { schema, config: { speaksToPerson: true } }, async function sayMessage ({ body, log }) {
    return formatReply(await fastify.conversation.chat({
      userId: body.user_id,
      message: body.message,
      platform: body.platform,
      metadata: body.metadata,
      sessionId: body.session_id,
      approvalId: body.approval_id
    }, log))
  })
}

export default chat
