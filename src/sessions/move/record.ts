import { formatJsonObject, parseJsonObject } from '../csv/json.ts'
import type { SessionRecord } from '../kept-session.ts'
import { readAskedMs } from '../questions.ts'
import type { Session } from '../session.ts'

/** A text of JSON, in an object of such texts alone. */
const JSON_TEXT = /"(?:[^"\\]|\\.)*"/g

/** What is left of such an object without its texts. */
const TEXTS_ALONE = /^\s*\{(?:\s*:\s*,)*\s*:\s*\}\s*$/

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
  // What somebody wrote into the column by hand may hold anything.
  if (!TEXTS_ALONE.test(text.replaceAll(JSON_TEXT, ''))) {
    return Object.entries(parseJsonObject(text) ?? {}).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)])
  }
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
  return approval === null ? undefined : readAskedMs(record, approval)
}
