import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Log } from '../../log.ts'
import type { Session } from '../session.ts'
import { parseRecords } from './codec.ts'
import { COLUMNS, parseHeader, type Header } from './header.ts'
import { LineQueue } from './line-queue.ts'
import type { Line } from './lines.ts'
import { readRecords, type FoundRow, type ReadSession, type RecordOptions, type RejectedRow } from './records.ts'
import { parseRow, readOwnRow } from './row.ts'

/** What a start knows when it reads the file. */
export interface LoadOptions {
  /** For messages. */
  readonly path: string
  readonly timeoutMs: number
  readonly nowMs: number
  readonly newId: () => string
  readonly log: Log
}

/** The rows of a file, or of a file and the journals that continue it. */
export interface FoundRows {
  readonly found: readonly FoundRow[]
  readonly rejected: readonly RejectedRow[]
  /** Columns that the service does not know, in their order. */
  readonly extraColumns: readonly string[]
}

/** What a start makes of the rows. */
export interface Loaded {
  readonly sessions: readonly ReadSession[]
  readonly expired: number
  /** Threads of expired sessions that no loaded session uses. */
  readonly expiredThreads: readonly string[]
  readonly rejected: readonly RejectedRow[]
}

/** Looked at in one go: about a millisecond's worth. */
const ROWS_PER_LOOK = 1000

/**
 * Reads the rows of a file. No lines, or blank ones alone, are an empty table.
 *
 * @throws ServiceError FILE_INVALID when the first line is no header.
 */
export async function readRows (blocks: AsyncIterable<readonly Line[]>, options: LoadOptions): Promise<FoundRows> {
  const lines = new LineQueue(blocks)
  const first = await findFirst(lines)
  if (first === undefined) return { found: [], rejected: [], extraColumns: [] }
  const [names] = first.isUtf8 ? await parseRecords([first.text]) : []
  const header = parseHeader(options.path, names)
  return { ...await readRecords(lines, describe(header, options)), extraColumns: header.extraColumns }
}

/** Lays over the rows of a file what journals say: by session id its line, or undefined if it was removed. */
export async function replayChanges (
  rows: FoundRows, changes: ReadonlyMap<string, string | undefined>, options: LoadOptions
): Promise<FoundRows> {
  if (changes.size === 0) return rows
  const header = parseHeader(options.path, [...COLUMNS, ...rows.extraColumns])
  const replayed = await readRecords(new LineQueue(toBlocks(changes.values())), describe(header, options))
  const found: FoundRow[] = []
  await visit(rows.found, (row) => { if (!changes.has(row.session.sessionId)) found.push(row) })
  await visit(replayed.found, (row) => { found.push(row) })
  return {
    found,
    rejected: [...rows.rejected, ...replayed.rejected],
    extraColumns: rows.extraColumns
  }
}

/** Decides what becomes of each row: loaded, expired or rejected. */
export async function chooseSessions ({ found, rejected }: FoundRows, options: LoadOptions): Promise<Loaded> {
  const { latest, doubles } = await keepLatest(found)
  const { alive, expired } = await partExpired(latest, options)
  const sessions = await separateThreads(alive, options)
  const used = new Set<string>()
  if (expired.length > 0) await visit(sessions, ({ session }) => { used.add(session.threadId) })
  const expiredThreads = new Set<string>()
  await visit(expired, ({ session: { threadId } }) => { if (!used.has(threadId)) expiredThreads.add(threadId) })
  return {
    sessions,
    expired: expired.length,
    expiredThreads: [...expiredThreads],
    rejected: [...rejected, ...doubles].sort((a, b) => a.lineNumber - b.lineNumber)
  }
}

/** The lines of a `sessions_rejected_<time>.csv`: where each row stood, why it was refused, and its text, byte for byte. */
export function * formatRejected (rows: readonly RejectedRow[]): Generator<Buffer> {
  yield Buffer.from('line,reason,row\n')
  for (const { lineNumber, text, isUtf8, reason } of rows) {
    const start = `${lineNumber},"${reason.replaceAll('"', '""')}","`
    // Not through fast-csv: it drops NUL characters, which may be why a row is here.
    yield Buffer.concat([Buffer.from(start), Buffer.from(text.replaceAll('"', '""'), isUtf8 ? 'utf8' : 'latin1'), Buffer.from('"\n')])
  }
}

async function findFirst (lines: LineQueue): Promise<Line | undefined> {
  for (;;) {
    const [line] = await lines.peek(1)
    if (line === undefined) return undefined
    lines.skip(1)
    if (line.text.trim() !== '') return line
  }
}

function describe (header: Header, { newId, nowMs }: LoadOptions): RecordOptions {
  return {
    width: header.width,
    readOwn: header.isOwn ? readOwnRow : () => undefined,
    parse: (cells, ownLine) => {
      const session = parseRow(cells, header, newId, { isOwn: ownLine !== undefined })
      // A clock that was ahead for a while must not keep a session alive for as long.
      return session.lastActivityMs > nowMs ? { session: { ...session, lastActivityMs: nowMs }, line: undefined } : { session, line: ownLine }
    }
  }
}

function * toBlocks (texts: Iterable<string | undefined>): Generator<Line[]> {
  let number = 0
  for (const text of texts) if (text !== undefined) yield [{ number: ++number, text, isUtf8: true }]
}

/** Of several rows with one id, the most recently active stays; of equally active ones, the last. */
export async function keepLatest (found: readonly FoundRow[]): Promise<{ latest: FoundRow[], doubles: RejectedRow[] }> {
  const byId = new Map<string, FoundRow>()
  const doubles: RejectedRow[] = []
  await visit(found, (row) => {
    const other = byId.get(row.session.sessionId)
    const [winner, loser] = other !== undefined && other.session.lastActivityMs > row.session.lastActivityMs ? [other, row] : [row, other]
    byId.set(row.session.sessionId, winner)
    if (loser === undefined) return
    const reason = `session_id is also on line ${winner.lineNumber}, which is the more recent row`
    doubles.push({ lineNumber: loser.lineNumber, text: loser.text, isUtf8: true, reason })
  })
  return { latest: [...byId.values()], doubles }
}

/** Tells the sessions that are not silent for too long from those that are. */
export async function partExpired (
  rows: readonly FoundRow[], { nowMs, timeoutMs }: LoadOptions
): Promise<{ alive: FoundRow[], expired: FoundRow[] }> {
  const alive: FoundRow[] = []
  const expired: FoundRow[] = []
  await visit(rows, (row) => { (nowMs - row.session.lastActivityMs <= timeoutMs ? alive : expired).push(row) })
  return { alive, expired }
}

/** Two sessions on one thread would read each other's conversation: it stays with the most recently active. */
async function separateThreads (rows: readonly FoundRow[], { newId, log }: LoadOptions): Promise<ReadSession[]> {
  const owners = new Map<string, Session>()
  await visit(rows, ({ session }) => {
    const owner = owners.get(session.threadId)
    if (owner === undefined || session.lastActivityMs >= owner.lastActivityMs) owners.set(session.threadId, session)
  })
  const sessions: ReadSession[] = []
  await visit(rows, ({ session, line }) => {
    if (owners.get(session.threadId) === session) return sessions.push({ session, line })
    log.warn({ session_id: session.sessionId }, 'A thread_id is used twice: this session goes on with a fresh one, its conversation starts anew')
    return sessions.push({ session: { ...session, threadId: newId() }, line: undefined })
  })
  return sessions
}

/** Visits each item, giving way to the event loop. */
async function visit<T> (items: readonly T[], look: (item: T) => void): Promise<void> {
  let left = ROWS_PER_LOOK
  for (const item of items) {
    look(item)
    if (--left > 0) continue
    left = ROWS_PER_LOOK
    await nextTurn()
  }
}
