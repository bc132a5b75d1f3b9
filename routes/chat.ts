import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { JsonObject } from '../src/sessions/session.ts'
import { CHAT_REQUESTS } from './examples.ts'
import { ChatAnswer, Platform, SessionId, TurnHeaders, UserId } from './schemas.ts'
import { answerTurn } from './turn-answer.ts'
import { TURN_DOCUMENTATION } from './turn-documentation.ts'

const ChatBody = Type.Object({
  user_id: UserId,
  message: Type.String({ minLength: 1, maxLength: 32_000, description: 'What the person said' }),
  platform: Type.Optional(Platform),
  metadata: Type.Optional(Type.Unsafe<JsonObject>({
    ...JsonObject,
    description: 'Merged into the session\'s, key by key; null removes a key; at most 16 KiB. user_profile.name is made known to the agent; message_id makes a repeat known'
  })),
  session_id: Type.Optional(SessionId),
  approval_id: Type.Optional(Type.String({ description: 'The question that this message answers' }))
}, { title: 'ChatRequest' })

const schema = {
  operationId: 'chat',
  summary: 'Send a message and get the answer of the agent, or its question',
  description: [
    'Continues the person\'s session on the platform, or starts one. While a question waits, a message that is a decision as a whole decides it (`yes`, `no`,',
    '`reject: <reason>`, `approve 1, reject 2`); any other text repeats the question. A decision in words needs a key with the scope `approve`. `/new` ends the session.'
  ].join(' '),
  tags: ['chat'],
  headers: TurnHeaders,
  body: ChatBody,
  response: { 200: ChatAnswer }
}

const documentation = { ...TURN_DOCUMENTATION, requests: CHAT_REQUESTS }

/** `POST /api/chat`: one message in, one answer out. */
const chat: FastifyPluginAsyncTypebox = async function chat (fastify) {
  fastify.post('/api/chat', { schema, config: { scope: 'chat', speaksToPerson: true, documentation } }, async function sayMessage (request, reply) {
    const { body, log } = request
    const message = {
      userId: body.user_id,
      message: body.message,
      platform: body.platform,
      metadata: body.metadata,
      sessionId: body.session_id,
      approvalId: body.approval_id,
      found: request.foundSession
    }
    return await answerTurn(fastify.turnDesk, request, reply, {
      route: 'chat',
      messageId: body.metadata?.message_id,
      run: async asker => await fastify.conversation.chat(message, log, asker)
    })
  })
}

export default chat
