import { Type } from '@sinclair/typebox'
import type { RouteDocumentation } from '../src/openapi/route.ts'
import { JsonObject } from '../src/sessions/session.ts'
import { IDS, MESSAGES, WAITING_SESSION } from './examples.ts'
import { Platform, SessionParams, SessionView, UserId } from './schemas.ts'

/** Of a page, if `limit` does not say otherwise. */
export const DEFAULT_LIMIT = 100

/** The most of a page. */
export const MAX_LIMIT = 1000

/** A query holds text alone, and no text is coerced: the number is read from it. */
const Limit = Type.Optional(Type.String({
  pattern: '^[1-9][0-9]{0,3}$', description: `1 to ${MAX_LIMIT}, ${DEFAULT_LIMIT} if not given`, examples: ['20']
}))
const NextCursor = Type.Unsafe<string | null>({ type: 'string', nullable: true, description: 'Where the next page begins; null at the end' })

function makeCursor (example: string) {
  return Type.Optional(Type.String({ description: 'The next_cursor of the page before', examples: [example] }))
}

const ToolCallView = Type.Object({ id: Type.String(), name: Type.String(), args: JsonObject }, { title: 'ToolCall' })

const MessageView = Type.Object({
  id: Type.String(),
  role: Type.Union([Type.Literal('user'), Type.Literal('assistant'), Type.Literal('tool')]),
  content: Type.String(),
  tool_calls: Type.Optional(Type.Array(ToolCallView)),
  tool_call_id: Type.Optional(Type.String({ description: 'With role tool: the call that this is the result of' }))
}, { title: 'Message' })

const tags = ['sessions']
const { session_id: sessionId, user_id: userId } = WAITING_SESSION

/** `GET /api/sessions`. */
export const listSchema = {
  operationId: 'listSessions',
  summary: 'All sessions, longest silent first',
  description: 'A walk through the pages may meet a session twice, and misses none.',
  tags,
  querystring: Type.Object({
    limit: Limit,
    cursor: makeCursor(IDS.cursor),
    platform: Type.Optional(Type.String({ ...Platform, description: 'Only those on this platform' })),
    pending: Type.Optional(Type.Unsafe<'true' | 'false'>({
      type: 'string', enum: ['true', 'false'], description: 'Only those that wait for an answer, or only those that do not', examples: ['true']
    }))
  }),
  response: {
    200: Type.Object({
      active_sessions: Type.Array(SessionView),
      count: Type.Integer({ description: 'All that match, on every page' }),
      next_cursor: NextCursor
    }, { title: 'SessionPage' })
  }
}

/** What `listSchema` has no place for. */
export const listDocumentation: RouteDocumentation = {
  answers: {
    200: {
      description: 'A page of sessions',
      examples: {
        page: { summary: 'One of several pages', value: { active_sessions: [WAITING_SESSION], count: 12, next_cursor: IDS.cursor } },
        none: { summary: 'No session at all', value: { active_sessions: [], count: 0, next_cursor: null } }
      }
    }
  }
}

/** `GET /api/sessions/count`. */
export const countSchema = {
  operationId: 'countSessions',
  summary: 'How many sessions there are',
  description: 'Also how many of them wait for an answer, and how many are on each platform.',
  tags,
  response: {
    200: Type.Object({
      count: Type.Integer(),
      pending_approvals: Type.Integer({ description: 'Those that wait for an answer' }),
      by_platform: Type.Unsafe<Record<string, number>>(Type.Object({}, { additionalProperties: Type.Integer() }))
    }, { title: 'SessionCount' })
  }
}

/** What `countSchema` has no place for. */
export const countDocumentation: RouteDocumentation = {
  answers: {
    200: {
      description: 'The numbers',
      examples: { count: { summary: 'On two platforms', value: { count: 12, pending_approvals: 1, by_platform: { api: 3, telegram: 9 } } } }
    }
  }
}

/** `GET /api/sessions/{user_id}`. */
export const userSchema = {
  operationId: 'listSessionsOfUser',
  summary: 'The sessions of one person, most recently active first',
  description: 'By the literal `user_id`, else by the normalised one, `<platform>_<user_id>`. A person without a session has an empty list.',
  tags,
  params: Type.Object({ user_id: UserId }),
  querystring: Type.Object({ platform: Type.Optional(Platform) }),
  response: { 200: Type.Object({ user_id: Type.String(), sessions: Type.Array(SessionView) }, { title: 'UserSessions' }) }
}

/** What `userSchema` has no place for. */
export const userDocumentation: RouteDocumentation = {
  answers: {
    200: {
      description: 'The sessions',
      examples: { sessions: { summary: 'A session that waits for an answer', value: { user_id: userId, sessions: [WAITING_SESSION] } } }
    }
  }
}

/** `GET /api/sessions/{session_id}/messages`. */
export const messagesSchema = {
  operationId: 'listMessages',
  summary: 'What was said in a session, oldest first',
  description: 'By the person, the agent and its tools; the agent\'s instructions are not shown.',
  tags,
  params: SessionParams,
  querystring: Type.Object({ limit: Limit, cursor: makeCursor(IDS.message) }),
  response: { 200: Type.Object({ session_id: Type.String(), messages: Type.Array(MessageView), next_cursor: NextCursor }, { title: 'MessagePage' }) }
}

/** What `messagesSchema` has no place for. */
export const messagesDocumentation: RouteDocumentation = {
  answers: {
    200: {
      description: 'A page of messages',
      examples: { messages: { summary: 'A note that was approved', value: { session_id: sessionId, messages: MESSAGES, next_cursor: null } } }
    }
  },
  errors: ['SESSION_NOT_FOUND', 'CONVERSATION_UNREADABLE', 'AGENT_FAILED', 'CONVERSATIONS_UNAVAILABLE', 'AGENT_TIMEOUT']
}

/** `DELETE /api/sessions/{session_id}`. */
export const deleteSchema = {
  operationId: 'deleteSession',
  summary: 'End a session, its conversation with it',
  description: 'After the turns that wait for it. The person\'s next message starts a new one.',
  tags,
  params: SessionParams,
  response: { 200: Type.Object({ status: Type.Literal('deleted'), session_id: Type.String() }, { title: 'Deleted' }) }
}

/** What `deleteSchema` has no place for. */
export const deleteDocumentation: RouteDocumentation = {
  answers: { 200: { description: 'It has ended', examples: { deleted: { summary: 'It has ended', value: { status: 'deleted', session_id: sessionId } } } } },
  errors: ['SESSION_NOT_FOUND', 'STORE_UNAVAILABLE', 'SERVICE_STOPPING', 'TURN_TAKEN_OVER']
}

/** `POST /api/sessions/{session_id}/cancel`. */
export const cancelSchema = {
  operationId: 'cancelTurn',
  summary: 'Cancel what a session runs; its waiting messages go on',
  description: 'Answers when the turn has ended; its own request gets 409 `TURN_CANCELLED`. A tool that ran, ran.',
  tags,
  params: SessionParams,
  response: { 200: Type.Object({ status: Type.Literal('cancelled'), session_id: Type.String() }, { title: 'Cancelled' }) }
}

/** What `cancelSchema` has no place for. */
export const cancelDocumentation: RouteDocumentation = {
  answers: { 200: { description: 'The turn has ended', examples: { cancelled: { summary: 'The turn has ended', value: { status: 'cancelled', session_id: sessionId } } } } },
  errors: ['SESSION_NOT_FOUND', 'TURN_NOT_RUNNING']
}
