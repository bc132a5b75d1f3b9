import { formatTime } from '../csv/time.ts'
import type { JsonObject, Session } from '../session.ts'

/** A session as the API shows it, and what only its file tells. */
export interface SessionDocument {
  readonly session_id: string
  readonly user_id: string
  readonly platform: string
  readonly thread_id: string
  readonly created_at: string
  readonly last_activity: string
  readonly has_pending_approval: boolean
  readonly pending_approval: JsonObject | null
  readonly metadata: JsonObject
  /** Columns that the service does not know, by name. */
  readonly extra: Readonly<Record<string, string>>
  readonly silent_seconds: number
}

/** Describes a session for programs. Integers beyond 2^53 are rounded, as JSON.parse does. */
export function describeSession (session: Session, nowMs: number): SessionDocument {
  return {
    session_id: session.sessionId,
    user_id: session.userId,
    platform: session.platform,
    thread_id: session.threadId,
    created_at: formatTime(session.createdAtMs),
    last_activity: formatTime(session.lastActivityMs),
    has_pending_approval: session.pendingApproval !== null,
    pending_approval: session.pendingApproval,
    metadata: session.metadata,
    extra: session.extra,
    silent_seconds: Math.floor(Math.max(0, nowMs - session.lastActivityMs) / 1000)
  }
}
