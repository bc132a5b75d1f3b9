import { formatJsonObject, parseJsonObject } from '../csv/json.ts'
import { isTime } from '../csv/time.ts'
import { readAskedMs } from '../questions.ts'
import type { Session } from '../session.ts'

/** A session as it lies in a store: its JSON is text, and stays as it was written. */
export interface SessionRecord {
  readonly sessionId: string
  readonly userId: string
  readonly platform: string
  readonly threadId: string
  readonly createdAtMs: number
  readonly lastActivityMs: number
  /** An object, or nothing. */
  readonly pendingApproval: string
  /** An object. */
  readonly metadata: string
  /** An object of texts: the columns that the service does not know, in their order. */
  readonly extra: string
}

/** A text of JSON, in an object of such texts alone. */
const JSON_TEXT = /"(?:[^"\\]|\\.)*"/g

/** A session out of a file. */
export function toRecord (session: Session, extraColumns: readonly string[]): SessionRecord {
  const { sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, pendingApproval, metadata, extra } = session
  return {
    sessionId,
    userId,
    platform,
    threadId,
    createdAtMs,
    lastActivityMs,
    pendingApproval: pendingApproval === null ? '' : formatJsonObject(pendingApproval),
    metadata: formatJsonObject(metadata),
    extra: formatExtra(extraColumns.filter(name => Object.hasOwn(extra, name)).map(name => [name, extra[name] ?? '']))
  }
}

/** A session for a file. Throws a SyntaxError if what should be JSON is none. */
export function toSession (record: SessionRecord): Session {
  const { pendingApproval, metadata, extra, ...rest } = record
  const columns = Object.fromEntries(parseExtra(extra))
  return { ...rest, pendingApproval: parseJsonObject(pendingApproval), metadata: parseJsonObject(metadata) ?? {}, extra: columns }
}

/** The names and texts of unknown columns, in their order, which `JSON.parse` would not keep for a name like `7`. */
export function parseExtra (text: string): Array<[string, string]> {
  if (text === '{}') return []
  const texts = Array.from(text.matchAll(JSON_TEXT), ([part]) => String(JSON.parse(part)))
  return Array.from({ length: texts.length / 2 }, (_, index) => [texts[2 * index] ?? '', texts[2 * index + 1] ?? ''])
}

function formatExtra (columns: ReadonlyArray<readonly [string, string]>): string {
  return `{${columns.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
}

/**
 * The same text for the same session, wherever it lies: JSON in the form in which a file has it, and no unknown columns that are empty, since a
 * session in a file has all columns. Throws a SyntaxError if what should be JSON is none.
 */
export function describeRecord (record: SessionRecord): string {
  const { sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, pendingApproval, metadata, extra } = record
  const columns = parseExtra(extra).filter(([, value]) => value !== '').sort(([a], [b]) => a < b ? -1 : 1)
  return JSON.stringify([
    sessionId, userId, platform, threadId, createdAtMs, lastActivityMs, normalize(pendingApproval), normalize(metadata), columns
  ])
}

function normalize (text: string): string {
  if (text === '' || text === '{}') return text
  const value = parseJsonObject(text)
  return value === null ? '' : formatJsonObject(value)
}

/** When the question was asked that a session waits with; undefined if it waits with none. */
export function findAskedMs (record: SessionRecord): number | undefined {
  const approval = parseJsonObject(record.pendingApproval)
  if (approval === null) return undefined
  const askedMs = readAskedMs(record, approval)
  return isTime(askedMs) ? askedMs : record.lastActivityMs
}
