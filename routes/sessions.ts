import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Message } from '../src/agent/agent.ts'
import { ServiceError } from '../src/errors.ts'
import { inferPlatform, normaliseUserId } from '../src/sessions/user-id.ts'
import { formatSession } from './schemas.ts'
import {
  cancelDocumentation, cancelSchema, countDocumentation, countSchema, DEFAULT_LIMIT, deleteDocumentation, deleteSchema, listDocumentation, listSchema,
  MAX_LIMIT, messagesDocumentation, messagesSchema, userDocumentation, userSchema
} from './session-schemas.ts'

/** Everything under `/api/sessions`. */
const sessions: FastifyPluginAsyncTypebox = async function sessions (fastify) {
  const { sessionStore: store, conversation, agent } = fastify

  fastify.get('/api/sessions', {
    schema: listSchema, config: { scope: 'admin', documentation: listDocumentation }
  }, async function listSessions ({ query: { limit, cursor, platform, pending } }) {
    const page = await store.list({
      limit: readLimit(limit),
      ...(cursor !== undefined && { cursor }),
      ...(platform !== undefined && { platform }),
      ...(pending !== undefined && { hasPendingApproval: pending === 'true' })
    })
    return { active_sessions: page.sessions.map(formatSession), count: page.count, next_cursor: page.nextCursor }
  })

  fastify.get('/api/sessions/count', {
    schema: countSchema, config: { scope: 'admin', documentation: countDocumentation }
  }, async function countSessions () {
    const { count, pendingApprovals, byPlatform } = await store.count()
    return { count, pending_approvals: pendingApprovals, by_platform: byPlatform }
  })

  fastify.get('/api/sessions/:user_id', {
    schema: userSchema, config: { scope: 'chat', documentation: userDocumentation }
  }, async function listSessionsOfUser ({ params, query: { platform } }) {
    const literal = await store.findByUser(params.user_id, platform)
    if (literal.length > 0) return { user_id: params.user_id, sessions: literal.map(formatSession) }
    const normalised = normaliseUserId(params.user_id, platform ?? inferPlatform(params.user_id))
    return { user_id: normalised, sessions: (await store.findByUser(normalised, platform)).map(formatSession) }
  })

  fastify.get('/api/sessions/:session_id/messages', {
    schema: messagesSchema, config: { scope: 'chat', documentation: messagesDocumentation }
  }, async function listMessages ({ params, query: { limit, cursor } }) {
    const session = await store.get(params.session_id)
    if (session === undefined) throw new ServiceError('SESSION_NOT_FOUND')
    const messages = await agent.history(session.threadId)
    const start = cursor === undefined ? 0 : messages.findIndex(message => message.id === cursor) + 1
    if (cursor !== undefined && start === 0) throw new ServiceError('REQUEST_INVALID', { message: 'cursor is not of this conversation' })
    const end = start + readLimit(limit)
    return {
      session_id: session.sessionId,
      messages: messages.slice(start, end).map(formatMessage),
      next_cursor: end < messages.length ? messages[end - 1]?.id ?? null : null
    }
  })

  fastify.post('/api/sessions/:session_id/cancel', {
    schema: cancelSchema, config: { scope: 'chat', answersUnderPressure: true, documentation: cancelDocumentation }
  }, async function cancelTurn ({ params }) {
    await conversation.cancel(params.session_id)
    return { status: 'cancelled' as const, session_id: params.session_id }
  })

  fastify.delete('/api/sessions/:session_id', {
    schema: deleteSchema, config: { scope: 'admin', documentation: deleteDocumentation }
  }, async function deleteSession ({ params, log }) {
    await conversation.end(params.session_id, log)
    return { status: 'deleted' as const, session_id: params.session_id }
  })
}

function readLimit (text: string | undefined): number {
  const limit = text === undefined ? DEFAULT_LIMIT : Number(text)
  if (limit > MAX_LIMIT) throw new ServiceError('REQUEST_INVALID', { message: `limit must be from 1 to ${MAX_LIMIT}, received ${limit}` })
  return limit
}

function formatMessage ({ id, role, content, toolCalls, toolCallId }: Message) {
  return {
    id,
    role,
    content,
    ...(toolCalls.length > 0 && { tool_calls: [...toolCalls] }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId })
  }
}

export default sessions
