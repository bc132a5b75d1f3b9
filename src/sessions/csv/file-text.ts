import type { ReadSession } from './records.ts'
import { formatLine, RowFormatter } from './row-text.ts'

/** Joined and handed to the disk at once: small enough to take well under a millisecond. */
const CHUNK_LENGTH = 64 * 1024

/** The bytes of a file with these sessions, as the service would write it, in slices. */
export function formatFile (sessions: Iterable<ReadSession>, extraColumns: readonly string[]): Generator<Buffer> {
  return joinLines(formatLines(sessions, extraColumns))
}

/** The bytes of a file with these lines, in slices. */
export function * joinLines (lines: Iterable<string>): Generator<Buffer> {
  let part: string[] = []
  let length = 0
  for (const line of lines) {
    part.push(line)
    length += line.length
    if (length < CHUNK_LENGTH) continue
    yield join(part)
    part = []
    length = 0
  }
  if (part.length > 0) yield join(part)
}

function join (lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join('\n')}\n`)
}

function * formatLines (sessions: Iterable<ReadSession>, extraColumns: readonly string[]): Generator<string> {
  const formatter = new RowFormatter(extraColumns)
  yield formatter.header
  for (const { session, line } of sessions) yield line ?? formatLine({ session, row: formatter.prepare(session) })
}
