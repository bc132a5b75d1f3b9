import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { ApprovalData, showApproval } from '../src/pending-approval.ts'
import type { Reply } from '../src/reply.ts'
import { readUserProfile, showMetadata } from '../src/sessions/metadata.ts'
import { ID_PATTERN, JsonObject, PLATFORM_PATTERN, type Session } from '../src/sessions/session.ts'
import { IDS } from './examples.ts'

/** A person as a bot names them; no control characters and line ends, which would break a line of the session file. */
export const UserId = Type.String({
  minLength: 1, maxLength: 256, pattern: '^[^\\p{Cc}\\p{Zl}\\p{Zp}]+$', description: 'A person, as the bot or the service names them', examples: ['test_123']
})
export const Platform = Type.String({
  pattern: PLATFORM_PATTERN, description: 'Where the person writes; api, or what user_id begins with, if not given', examples: ['api']
})
export const SessionId = Type.String({ pattern: ID_PATTERN, description: 'A session', examples: [IDS.session] })
export const SessionParams = Type.Object({ session_id: SessionId })

/** What chat and approve read of a request's headers. */
export const TurnHeaders = Type.Object({
  'idempotency-key': Type.Optional(Type.String({
    pattern: '^[\\x21-\\x7e]{1,255}$',
    description: 'Makes a repeat of the request known, which gets the first answer again: 1 to 255 visible ASCII characters',
    examples: ['9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d']
  })),
  'last-event-id': Type.Optional(Type.String({
    description: 'Goes on with a stream after this event, and starts no turn; sent with the same body',
    examples: [IDS.event]
  })),
  accept: Type.Optional(Type.String({ description: 'With text/event-stream, the turn is streamed' }))
})
export type TurnHeaders = Static<typeof TurnHeaders>

/** The same, or null. OpenAPI's `nullable` costs the serializer less than a union does. */
function nullable<T extends TSchema> (schema: T) {
  return Type.Unsafe<Static<T> | null>({ ...schema, nullable: true })
}

/** The answer of chat and approve. */
export const ChatAnswer = Type.Object({
  user_id: Type.String({ description: 'Normalised: <platform>_<user_id>' }),
  session_id: Type.String(),
  platform: Type.String(),
  message: Type.String({ minLength: 1, description: 'What to show the person' }),
  status: Type.Union([Type.Literal('completed'), Type.Literal('waiting_approval'), Type.Literal('error')]),
  requires_approval: Type.Boolean({ description: 'True exactly when status is waiting_approval' }),
  approval_data: nullable(ApprovalData),
  metadata: Type.Unsafe<JsonObject>({ ...JsonObject, description: 'user_profile, if known; of the run model, usage (tokens) and duration_ms, as far as known' })
}, { title: 'ChatAnswer' })
export type ChatAnswer = Static<typeof ChatAnswer>

/** A turn's reply as chat and approve answer it. */
export function formatReply ({ session, status, message, approval, facts }: Reply): ChatAnswer {
  const { model, usage, durationMs } = facts
  const profile = readUserProfile(session.metadata)
  return {
    user_id: session.userId,
    session_id: session.sessionId,
    platform: session.platform,
    message,
    status,
    requires_approval: status === 'waiting_approval',
    approval_data: approval,
    metadata: {
      ...(profile !== undefined && { user_profile: profile }),
      ...(model !== undefined && { model }),
      ...(usage !== undefined && { usage }),
      duration_ms: durationMs
    }
  }
}

/** A session in an answer. */
export const SessionView = Type.Object({
  session_id: Type.String(),
  user_id: Type.String(),
  platform: Type.String(),
  thread_id: Type.String(),
  created_at: Type.String({ description: 'ISO 8601, UTC' }),
  last_activity: Type.String({ description: 'ISO 8601, UTC' }),
  has_pending_approval: Type.Boolean(),
  pending_approval: nullable(JsonObject),
  metadata: JsonObject
}, { title: 'Session' })
export type SessionView = Static<typeof SessionView>

/** A session as clients see it. */
export function formatSession (session: Session): SessionView {
  return {
    session_id: session.sessionId,
    user_id: session.userId,
    platform: session.platform,
    thread_id: session.threadId,
    created_at: new Date(session.createdAtMs).toISOString(),
    last_activity: new Date(session.lastActivityMs).toISOString(),
    has_pending_approval: session.pendingApproval !== null,
    pending_approval: session.pendingApproval === null ? null : showApproval(session.pendingApproval),
    metadata: showMetadata(session.metadata)
  }
}
