import { Type, type Static } from '@sinclair/typebox'

/** The ids that a loaded file may hold; new ones are UUIDs. */
export const ID_PATTERN = '^[A-Za-z0-9._:-]{1,128}$'

/** A platform's name, as bots send it. */
export const PLATFORM_PATTERN = '^[a-z][a-z0-9_-]{0,31}$'

/** A JSON object of any content. */
export const JsonObject = Type.Unsafe<Record<string, unknown>>(Type.Object({}, { additionalProperties: true }))
export type JsonObject = Static<typeof JsonObject>

/** Whether a value is a JSON object: no array, not null. */
export function isJsonObject (value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * A person on a platform, until silent too long.
 *
 * A session is never changed in place: a store hands out the same object until the session changes, and takes a new object as the change.
 */
export const Session = Type.Object({
  sessionId: Type.String({ pattern: ID_PATTERN }),
  /** Normalised: `<platform>_<user_id>`; in a row loaded from a file, whatever stood there. */
  userId: Type.String({ minLength: 1 }),
  platform: Type.String({ pattern: PLATFORM_PATTERN }),
  /** LangGraph's `thread_id`: the conversation of this session. */
  threadId: Type.String({ pattern: ID_PATTERN }),
  /** Milliseconds since the epoch. */
  createdAtMs: Type.Integer(),
  /** Milliseconds since the epoch. */
  lastActivityMs: Type.Integer(),
  /** The question that waits for an answer, if one does. */
  pendingApproval: Type.Union([JsonObject, Type.Null()]),
  metadata: JsonObject,
  /** Columns that the service does not know, kept as they were. */
  extra: Type.Record(Type.String(), Type.String())
})
export type Session = Readonly<Static<typeof Session>>

/** Whose session it is to be, and what gives it its time and its ids. */
export interface NewSession {
  readonly userId: string
  readonly platform: string
  readonly metadata?: JsonObject
  readonly now: () => number
  readonly newId: () => string
}

/** A session that begins now, with a thread of its own. */
export function createSession ({ userId, platform, metadata = {}, now, newId }: NewSession): Session {
  const nowMs = now()
  return {
    sessionId: newId(), userId, platform, threadId: newId(), createdAtMs: nowMs, lastActivityMs: nowMs, pendingApproval: null, metadata, extra: {}
  }
}
