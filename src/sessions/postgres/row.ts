import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ServiceError } from '../../errors.ts'
import { checkSession, RowError } from '../csv/row.ts'
import { isTime } from '../csv/time.ts'
import { readAskedMs } from '../questions.ts'
import { isJsonObject, type JsonObject, type Session } from '../session.ts'

/** A row as `SESSION_COLUMNS` selects it. */
export const SessionRow = Type.Object({
  session_id: Type.String(),
  user_id: Type.String(),
  platform: Type.String(),
  thread_id: Type.String(),
  created_at_ms: Type.String(),
  last_activity_ms: Type.String(),
  pending_approval: Type.Union([Type.String(), Type.Null()]),
  metadata: Type.String(),
  extra: Type.String(),
  revision: Type.Integer()
})
export type SessionRow = Static<typeof SessionRow>

/** A session, and how it is kept. */
export interface StoredSession {
  readonly session: Session
  readonly revision: number
  /** The JSON columns as they are written: what a change leaves as it is stays so to the byte, and says more than JSON.parse keeps. */
  readonly texts: { readonly pendingApproval: string | null, readonly metadata: string, readonly extra: string }
}

/** Makes a session of a row. Throws if it is none. */
export function parseRow (row: unknown): StoredSession {
  if (!Value.Check(SessionRow, row)) throw new TypeError('A row of holdline.sessions has other columns than this version knows')
  const { pending_approval: pendingApproval, metadata, extra, revision } = row
  const session: Session = {
    sessionId: row.session_id,
    userId: row.user_id,
    platform: row.platform,
    threadId: row.thread_id,
    createdAtMs: Number(row.created_at_ms),
    lastActivityMs: Number(row.last_activity_ms),
    pendingApproval: pendingApproval === null ? null : parseObject(pendingApproval),
    metadata: parseObject(metadata),
    extra: Object.fromEntries(Object.entries(parseObject(extra)).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]))
  }
  return { session, revision, texts: { pendingApproval, metadata, extra } }
}

/**
 * How the JSON of a session is to be kept.
 *
 * @param before The session as it is kept, if it is.
 * @throws ServiceError REQUEST_INVALID for what cannot be kept, by this store or by one that it may be moved to, naming the column; a TypeError if
 * its metadata or approval has no JSON form.
 */
export function formatTexts (session: Session, before: StoredSession | undefined): StoredSession['texts'] {
  try {
    checkSession(session, Object.keys(session.extra))
  } catch (cause) {
    if (cause instanceof RowError) throw new ServiceError('REQUEST_INVALID', { message: cause.message, cause })
    throw cause
  }
  const { pendingApproval, metadata, extra } = session
  // An object never changes in place: the same one is the same text.
  const format = (name: 'metadata' | 'extra', value: JsonObject): string => {
    return before !== undefined && before.session[name] === value ? before.texts[name] : formatObject(value)
  }
  const isSame = before !== undefined && before.session.pendingApproval === pendingApproval
  return {
    pendingApproval: isSame ? before.texts.pendingApproval : pendingApproval === null ? null : formatObject(pendingApproval),
    metadata: format('metadata', metadata),
    extra: format('extra', extra)
  }
}

/** The values of a row, in the order in which the statements take them. */
export function listValues (session: Session, { pendingApproval, metadata, extra }: StoredSession['texts']): Array<string | number | null> {
  const { sessionId, userId, platform, threadId, createdAtMs, lastActivityMs } = session
  const askedMs = session.pendingApproval === null ? null : readAskedMs(session, session.pendingApproval)
  return [
    sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, pendingApproval, metadata, extra,
    askedMs === null || isTime(askedMs) ? askedMs : lastActivityMs
  ]
}

function parseObject (text: string): JsonObject {
  const value: unknown = JSON.parse(text)
  if (!isJsonObject(value)) throw new TypeError('A column of holdline.sessions holds JSON that is no object')
  return value
}

function formatObject (value: JsonObject): string {
  const text = JSON.stringify(value)
  if (!text?.startsWith('{')) throw new TypeError('Not a JSON object')
  return text
}
