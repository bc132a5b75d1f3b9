import type { Log } from '../../log.ts'
import type { Session } from '../session.ts'
import { parseRecords } from './codec.ts'
import { parseHeader } from './header.ts'
import type { Line } from './lines.ts'
import { readRecords, type FoundRow, type RejectedRow } from './records.ts'
import { parseRow } from './row.ts'

/** What a start knows when it reads the file. */
export interface LoadOptions {
  /** For messages. */
  readonly path: string
  readonly timeoutMs: number
  readonly nowMs: number
  readonly newId: () => string
  readonly log: Log
}

/** What a start makes of a file. */
export interface Loaded {
  readonly sessions: readonly Session[]
  readonly expired: number
  /** Threads of expired sessions that no loaded session uses. */
  readonly expiredThreads: readonly string[]
  readonly rejected: readonly RejectedRow[]
  /** Columns that the service does not know, in their order. */
  readonly extraColumns: readonly string[]
}

/**
 * Decides what becomes of each row: loaded, expired or rejected. No lines, or blank ones alone, are an empty table.
 *
 * @throws ServiceError FILE_INVALID when the first line is no header.
 */
export async function loadSessions (lines: readonly Line[], options: LoadOptions): Promise<Loaded> {
  const start = lines.findIndex(({ text }) => text.trim() !== '')
  const first = lines[start]
  if (first === undefined) return { sessions: [], expired: 0, expiredThreads: [], rejected: [], extraColumns: [] }
  const [names] = first.isUtf8 ? await parseRecords([first.text]) : []
  const header = parseHeader(options.path, names)
  const { found, rejected } = await readRecords(lines.slice(start + 1), {
    width: header.width,
    parse: (cells) => notInFuture(parseRow(cells, header, options.newId), options.nowMs)
  })
  const { latest, doubles } = keepLatest(found)
  const alive = latest.filter((session) => options.nowMs - session.lastActivityMs <= options.timeoutMs)
  const sessions = separateThreads(alive, options)
  const expired = new Set(latest)
  for (const session of alive) expired.delete(session)
  const used = new Set(sessions.map(({ threadId }) => threadId))
  const expiredThreads = new Set([...expired].map(({ threadId }) => threadId).filter((threadId) => !used.has(threadId)))
  return {
    sessions,
    expired: expired.size,
    expiredThreads: [...expiredThreads],
    rejected: [...rejected, ...doubles].sort((a, b) => a.line.number - b.line.number),
    extraColumns: header.extraColumns
  }
}

/** The lines of a `sessions_rejected_<time>.csv`: where each row stood, why it was refused, and its text, byte for byte. */
export function * formatRejected (rows: readonly RejectedRow[]): Generator<Buffer> {
  yield Buffer.from('line,reason,row\n')
  for (const { line, text, reason } of rows) {
    const start = `${line.number},"${reason.replaceAll('"', '""')}","`
    // Not through fast-csv: it drops NUL characters, which may be why a row is here.
    yield Buffer.concat([Buffer.from(start), Buffer.from(text.replaceAll('"', '""'), line.isUtf8 ? 'utf8' : 'latin1'), Buffer.from('"\n')])
  }
}

/** A clock that was ahead for a while must not keep a session alive for as long. */
function notInFuture (session: Session, nowMs: number): Session {
  return session.lastActivityMs > nowMs ? { ...session, lastActivityMs: nowMs } : session
}

/** Of several rows with one id, the most recently active stays; of equally active ones, the last. */
function keepLatest (found: readonly FoundRow[]): { latest: Session[], doubles: RejectedRow[] } {
  const byId = new Map<string, FoundRow>()
  const doubles: RejectedRow[] = []
  for (const row of found) {
    const other = byId.get(row.session.sessionId)
    const [winner, loser] = other !== undefined && other.session.lastActivityMs > row.session.lastActivityMs ? [other, row] : [row, other]
    byId.set(row.session.sessionId, winner)
    if (loser !== undefined) doubles.push({ ...loser, reason: `session_id is also on line ${winner.line.number}, which is the more recent row` })
  }
  return { latest: [...byId.values()].map(({ session }) => session), doubles }
}

/** Two sessions on one thread would read each other's conversation: it stays with the most recently active. */
function separateThreads (sessions: readonly Session[], { newId, log }: LoadOptions): Session[] {
  const owners = new Map<string, Session>()
  for (const session of sessions) {
    const owner = owners.get(session.threadId)
    if (owner === undefined || session.lastActivityMs >= owner.lastActivityMs) owners.set(session.threadId, session)
  }
  return sessions.map((session) => {
    if (owners.get(session.threadId) === session) return session
    log.warn({ session_id: session.sessionId }, 'A thread_id is used twice: this session goes on with a fresh one, its conversation starts anew')
    return { ...session, threadId: newId() }
  })
}
