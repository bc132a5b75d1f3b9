import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { Message } from '../src/agent/agent.ts'
import { ServiceError } from '../src/errors.ts'
import { JsonObject } from '../src/sessions/session.ts'
import { inferPlatform, normaliseUserId } from '../src/sessions/user-id.ts'
import { COMMON_ERRORS, ErrorBody, formatSession, Platform, SessionParams, SessionView, UserId } from './schemas.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

/** A query holds text alone, and no text is coerced: the number is read from it. */
const Limit = Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,3}$', description: `1 to ${MAX_LIMIT}, ${DEFAULT_LIMIT} if not given` }))
const Cursor = Type.Optional(Type.String({ description: 'The next_cursor of the page before' }))
const NextCursor = Type.Unsafe<string | null>({ type: 'string', nullable: true })

const MessageView = Type.Object({
  id: Type.String(),
  role: Type.Union([Type.Literal('user'), Type.Literal('assistant'), Type.Literal('tool')]),
  content: Type.String(),
  tool_calls: Type.Optional(Type.Array(Type.Object({ id: Type.String(), name: Type.String(), args: JsonObject }))),
  tool_call_id: Type.Optional(Type.String())
})

const tags = ['sessions']

const listSchema = {
  operationId: 'listSessions',
  summary: 'All sessions, longest silent first',
  tags,
  querystring: Type.Object({
    limit: Limit,
    cursor: Cursor,
    platform: Type.Optional(Platform),
    pending: Type.Optional(Type.Unsafe<'true' | 'false'>({ type: 'string', enum: ['true', 'false'] }))
  }),
  response: {
    200: Type.Object({ active_sessions: Type.Array(SessionView), count: Type.Integer(), next_cursor: NextCursor }),
    ...COMMON_ERRORS
  }
}

const countSchema = {
  operationId: 'countSessions',
  summary: 'How many sessions there are',
  tags,
  response: {
    200: Type.Object({
      count: Type.Integer(),
      pending_approvals: Type.Integer(),
      by_platform: Type.Unsafe<Record<string, number>>(Type.Object({}, { additionalProperties: Type.Integer() }))
    }),
    ...COMMON_ERRORS
  }
}

const userSchema = {
  operationId: 'listSessionsOfUser',
  summary: 'The sessions of one person, most recently active first',
  tags,
  params: Type.Object({ user_id: UserId }),
  querystring: Type.Object({ platform: Type.Optional(Platform) }),
  response: { 200: Type.Object({ user_id: Type.String(), sessions: Type.Array(SessionView) }), ...COMMON_ERRORS }
}

const messagesSchema = {
  operationId: 'listMessages',
  summary: 'What was said in a session, oldest first',
  tags,
  params: SessionParams,
  querystring: Type.Object({ limit: Limit, cursor: Cursor }),
  response: {
    200: Type.Object({ session_id: Type.String(), messages: Type.Array(MessageView), next_cursor: NextCursor }),
    ...COMMON_ERRORS,
    404: ErrorBody,
    502: ErrorBody,
    503: ErrorBody
  }
}

const deleteSchema = {
  operationId: 'deleteSession',
  summary: 'End a session, its conversation with it',
  tags,
  params: SessionParams,
  response: {
    200: Type.Object({ status: Type.Literal('deleted'), session_id: Type.String() }),
    ...COMMON_ERRORS,
    404: ErrorBody,
    503: ErrorBody
  }
}

const cancelSchema = {
  operationId: 'cancelTurn',
  summary: 'Cancel what a session runs; its waiting messages go on',
  tags,
  params: SessionParams,
  response: {
    200: Type.Object({ status: Type.Literal('cancelled'), session_id: Type.String() }),
    ...COMMON_ERRORS,
    404: ErrorBody,
    409: ErrorBody
  }
}

/** Everything under `/api/sessions`. */
const sessions: FastifyPluginAsyncTypebox = async function sessions (fastify) {
  const { sessionStore: store, conversation, agent } = fastify

  fastify.get('/api/sessions', { schema: listSchema, config: { scope: 'admin' } }, async function listSessions ({ query: { limit, cursor, platform, pending } }) {
    const page = await store.list({
      limit: readLimit(limit),
      ...(cursor !== undefined && { cursor }),
      ...(platform !== undefined && { platform }),
      ...(pending !== undefined && { hasPendingApproval: pending === 'true' })
    })
    return { active_sessions: page.sessions.map(formatSession), count: page.count, next_cursor: page.nextCursor }
  })

  fastify.get('/api/sessions/count', { schema: countSchema, config: { scope: 'admin' } }, async function countSessions () {
    const { count, pendingApprovals, byPlatform } = await store.count()
    return { count, pending_approvals: pendingApprovals, by_platform: byPlatform }
  })

  fastify.get('/api/sessions/:user_id', { schema: userSchema, config: { scope: 'chat' } }, async function listSessionsOfUser ({ params, query: { platform } }) {
    const literal = await store.findByUser(params.user_id, platform)
    if (literal.length > 0) return { user_id: params.user_id, sessions: literal.map(formatSession) }
    const normalised = normaliseUserId(params.user_id, platform ?? inferPlatform(params.user_id))
    return { user_id: normalised, sessions: (await store.findByUser(normalised, platform)).map(formatSession) }
  })

  fastify.get('/api/sessions/:session_id/messages', { schema: messagesSchema, config: { scope: 'chat' } }, async function listMessages ({ params, query: { limit, cursor } }) {
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

  // Also under pressure, which it takes away.
  const cancelOptions = { schema: cancelSchema, config: { scope: 'chat', answersUnderPressure: true } } as const
  fastify.post('/api/sessions/:session_id/cancel', cancelOptions, async function cancelTurn ({ params }) {
    await conversation.cancel(params.session_id)
    return { status: 'cancelled' as const, session_id: params.session_id }
  })

  fastify.delete('/api/sessions/:session_id', { schema: deleteSchema, config: { scope: 'admin' } }, async function deleteSession ({ params, log }) {
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
