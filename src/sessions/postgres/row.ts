import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { readKept, type IndexedRecord, type KeptSession, type SessionRecord } from '../kept-session.ts'

/** A row as `SESSION_COLUMNS` selects it. */
const SessionRow = Type.Object({
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

/** Reads a row, its JSON as it is. Throws a TypeError if it is none. */
export function readRow (row: unknown): { readonly record: SessionRecord, readonly revision: number } {
  if (!Value.Check(SessionRow, row)) throw new TypeError('A row of holdline.sessions has other columns than this version knows')
  const { metadata, extra, revision } = row
  return {
    revision,
    record: {
      sessionId: row.session_id,
      userId: row.user_id,
      platform: row.platform,
      threadId: row.thread_id,
      createdAtMs: Number(row.created_at_ms),
      lastActivityMs: Number(row.last_activity_ms),
      pendingApproval: row.pending_approval ?? '',
      metadata,
      extra
    }
  }
}

/** Makes a session of a row. Throws a TypeError if it is none. */
export function parseRow (row: unknown): KeptSession {
  const { record, revision } = readRow(row)
  return readKept(record, revision)
}

/** The values of a row, in the order in which the statements take them. */
export function listValues (record: IndexedRecord): Array<string | number | null> {
  const { sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, pendingApproval, metadata, extra, askedMs } = record
  return [
    sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, pendingApproval === '' ? null : pendingApproval, metadata, extra, askedMs ?? null
  ]
}
