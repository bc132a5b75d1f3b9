import { inferPlatform } from '../user-id.ts'
import { ID_PATTERN, PLATFORM_PATTERN, type JsonObject, type Session } from '../session.ts'
import { LINE_BREAK, type Column, type Header } from './header.ts'
import { formatJsonObject, parseJsonObject } from './json.ts'
import { formatTime, isTime, parseTime } from './time.ts'

const ID = new RegExp(ID_PATTERN)
const PLATFORM = new RegExp(PLATFORM_PATTERN)
const FORMULA = /^[=+\-@\t\r]/
/** Control characters, halves of surrogate pairs, and line ends: what does not come back from a file as one line of UTF-8. */
const UNWRITABLE_CLASS = '\\p{Cc}\\p{Cs}\\u2028\\u2029'
const UNWRITABLE = new RegExp(`[${UNWRITABLE_CLASS}]`, 'u')

const ID_CELL = ID_PATTERN.slice(1, -1)
const TIME_CELL = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z'
const TEXT = `[^"${UNWRITABLE_CLASS}]*`
/** An object with a property, as `JSON.stringify` begins it, quoted; without the characters that are escaped when they are written. */
const JSON_CELL = `"\\{""${TEXT}(?:""${TEXT})*\\}"`
const USER_CELL = `[^\\s",|=+@${UNWRITABLE_CLASS}-](?:[^",|${UNWRITABLE_CLASS}]*[^\\s",|${UNWRITABLE_CLASS}])?`
const OWN_ROW = new RegExp(
  `^(${ID_CELL}),(${USER_CELL}),(${PLATFORM_PATTERN.slice(1, -1)}),((?!-)${ID_CELL}),(${TIME_CELL}),(${TIME_CELL}),` +
  `(\\{\\}|${JSON_CELL})?,(\\{\\}|${JSON_CELL})$`, 'u')
/** Metadata and question of a session are shorter; a pattern is no way to read what is longer. */
const MAX_OWN_LENGTH = 128 * 1024
/** More platforms than there are; a file may name any. */
const MAX_SHARED = 100

/**
 * Reads the cells of a row of the file's own columns in their order, none more, in the form in which it would be written: a session that is made of
 * them is written as this line. Undefined of any other line. A look at its form alone: its times and its JSON may still be none.
 *
 * Nearly all lines of nearly all files are such rows, and this reads them many times faster than a parser of all CSV; it agrees with that one.
 */
export function readOwnRow (line: string): string[] | undefined {
  const match = line.length > MAX_OWN_LENGTH ? null : OWN_ROW.exec(line)
  if (match === null) return undefined
  const [, sessionId = '', userId = '', platform = '', threadId = '', createdAt = '', lastActivity = '', pending = '', metadata = ''] = match
  return [sessionId, userId, platform, threadId, createdAt, lastActivity, unquote(pending), unquote(metadata)]
}

function unquote (cell: string): string {
  return cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell
}

/** Why a row or a session is refused; its message names the column, never the content. */
export class RowError extends Error {
  override readonly name = 'RowError'
}

/**
 * Makes a session of the cells of a row.
 *
 * @param isOwn Whether the cells come from `readOwnRow`: they need fewer checks.
 * @param newId Makes the thread id of a row without one.
 * @throws RowError, saying why the row cannot be a session.
 */
export function parseRow (cells: readonly string[], header: Header, newId: () => string, { isOwn = false } = {}): Session {
  const read = (column: Column): string => header.cell(cells, column)?.trim() ?? ''
  const userId = header.cell(cells, 'user_id') ?? ''
  const lastActivityMs = readTime('last_activity', read('last_activity'))
  const session: Session = {
    sessionId: read('session_id'),
    userId,
    platform: share(read('platform') || inferPlatform(userId)),
    threadId: read('thread_id') || newId(),
    createdAtMs: read('created_at') === '' ? lastActivityMs : readTime('created_at', read('created_at')),
    lastActivityMs,
    pendingApproval: readJson('pending_approval', read('pending_approval')),
    metadata: readJson('metadata', read('metadata')) ?? {},
    extra: header.extra(cells)
  }
  if (!isOwn) checkSession(session, header.extraColumns)
  return session
}

/** The cells that a session is written as. Throws a TypeError if its metadata or approval has no JSON form. */
export function formatCells (session: Session, extraColumns: readonly string[]): string[] {
  return [
    session.sessionId,
    session.userId,
    session.platform,
    session.threadId,
    formatTime(session.createdAtMs),
    formatTime(session.lastActivityMs),
    session.pendingApproval === null ? '' : formatJsonObject(session.pendingApproval),
    formatJsonObject(session.metadata),
    // A column may bear the name of something that every object has.
    ...extraColumns.map((name) => Object.hasOwn(session.extra, name) ? session.extra[name] ?? '' : '')
  ]
}

/**
 * Refuses a session that could not be read back from the file as it is.
 *
 * @throws RowError, saying why.
 */
export function checkSession (session: Session, extraColumns: readonly string[]): void {
  if (session.sessionId === '') throw new RowError('session_id is empty')
  if (!ID.test(session.sessionId)) throw new RowError('session_id has characters that an id cannot have')
  if (session.userId.trim() === '') throw new RowError('user_id is empty')
  if (UNWRITABLE.test(session.userId)) throw new RowError('user_id has control characters')
  if (FORMULA.test(session.userId)) throw new RowError('user_id begins like a spreadsheet formula')
  if (!PLATFORM.test(session.platform)) throw new RowError('platform is not the name of a platform')
  if (!ID.test(session.threadId)) throw new RowError('thread_id has characters that an id cannot have')
  if (FORMULA.test(session.threadId)) throw new RowError('thread_id begins like a spreadsheet formula')
  if (!isTime(session.createdAtMs)) throw new RowError('created_at is not a time')
  if (!isTime(session.lastActivityMs)) throw new RowError('last_activity is not a time')
  for (const [name, value] of Object.entries(session.extra)) {
    if (!extraColumns.includes(name)) throw new RowError(`there is no column for "${name}"`)
    if (/[\0\p{Cs}]/u.test(value) || value.search(LINE_BREAK) !== -1) throw new RowError(`"${name}" has characters that a cell cannot have`)
  }
}

/** One string for all sessions of a platform: less memory, and faster to count by. */
const shared = new Map<string, string>()

function share (platform: string): string {
  const one = shared.get(platform)
  if (one !== undefined) return one
  if (shared.size < MAX_SHARED) shared.set(platform, platform)
  return platform
}

function readTime (column: Column, text: string): number {
  if (text === '') throw new RowError(`${column} is empty`)
  const timeMs = parseTime(text)
  if (timeMs === undefined) throw new RowError(`${column} is not a time`)
  return timeMs
}

function readJson (column: Column, text: string): JsonObject | null {
  try {
    return parseJsonObject(text)
  } catch (cause) {
    throw new RowError(`${column} is not a JSON object`, { cause })
  }
}
