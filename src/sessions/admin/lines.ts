import type { ReadSession } from '../csv/records.ts'
import { RowLines } from '../csv/row-lines.ts'

/** The lines of a file with these sessions, as the service would write it. */
export function makeLines (sessions: Iterable<ReadSession>, extraColumns: readonly string[]): RowLines {
  const lines = new RowLines(extraColumns)
  for (const { session, line } of sessions) lines.put(session.sessionId, line ?? lines.format(session))
  return lines
}
