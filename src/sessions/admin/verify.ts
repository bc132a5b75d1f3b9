import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type { Log } from '../../log.ts'
import { ServiceError } from '../../errors.ts'
import { formatFile } from '../csv/file-text.ts'
import { chooseSessions, type Loaded } from '../csv/load.ts'
import { checkReplaceable } from '../csv/path.ts'
import type { FoundRow, RejectedRow } from '../csv/records.ts'
import type { Recovery } from '../csv/recovery.ts'
import { readSnapshot, type Snapshot } from '../csv/snapshot.ts'
import { formatTime } from '../csv/time.ts'
import { checkHeader, type HeaderCheck } from './header-check.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { lookAround, type Surroundings } from './surroundings.ts'
import { formatVerification } from './verify-text.ts'
import { describeLoad, findPath } from './view.ts'

/** A row that a start would set aside. */
export interface BadRow {
  /** The line in the file, or in the journal the place among its changes. */
  readonly line: number
  readonly source: 'file' | 'journal'
  readonly reason: string
  readonly text: string
}

/** A journal beside the file, and what a start would do with it. */
export interface JournalCheck {
  readonly name: string
  /** `fits`: it is laid over the file. `spent`: the file has all of it. `stranger`: it is set aside. */
  readonly state: 'fits' | 'spent' | 'stranger'
  readonly reason?: string
  /** Sessions that it changes or removes. */
  readonly changes?: number
  /** Bytes behind its last whole record. */
  readonly tailBytes?: number
  /** Whether whole records are lost in that tail; else it is a record that was cut off before anybody was told that it was saved. */
  readonly isDamaged?: boolean
}

/** What a start would make of the rows. */
export interface RowsCheck {
  readonly sessions: number
  readonly expired: number
  readonly badRows: readonly BadRow[]
  /** Sessions that would go on with a fresh thread, since a more recent one uses theirs. */
  readonly freshThreads: ReadonlyArray<{ readonly sessionId: string, readonly threadId: string }>
  /** Sessions whose last activity would count as now. */
  readonly future: ReadonlyArray<{ readonly sessionId: string, readonly lastActivity: string }>
  readonly journals: readonly JournalCheck[]
  readonly isRewritten: boolean
}

/** All that there is to say about a session file. */
export interface Verification extends Surroundings {
  readonly path: string
  /** Undefined if there is no file. */
  readonly bytes: number | undefined
  readonly header: HeaderCheck | undefined
  /** Why no start is possible; then nothing is known of the rows. */
  readonly refusal: string | undefined
  readonly rows: RowsCheck | undefined
  /** Whether a start would keep all that is there. */
  readonly isKept: boolean
}

/** Says what a start would make of a session file, and changes nothing. Fails unless all would be kept. */
export async function verifySessions (options: AdminOptions): Promise<Outcome> {
  const found = await verify(options)
  return { json: describe(found), text: formatVerification(found), hasFailed: !found.isKept }
}

async function verify (options: AdminOptions): Promise<Verification> {
  const { path, files } = options
  const realPath = await findPath(options)
  const around = { path, ...await lookAround(options, realPath) }
  try {
    await checkReplaceable(files, realPath)
    const { snapshot, rows } = await checkRows(options, realPath)
    const isKept = rows.badRows.length === 0 && rows.freshThreads.length === 0 &&
      rows.journals.every(({ state, isDamaged }) => state !== 'stranger' && isDamaged !== true)
    const bytes = snapshot.state === undefined ? undefined : Number(snapshot.state.size)
    return { ...around, bytes, header: await checkHeader(files, realPath), refusal: undefined, rows, isKept }
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'FILE_INVALID') throw error
    const { kind, size } = await files.stat(realPath)
    const header = kind === 'file' ? await checkHeader(files, realPath) : undefined
    return { ...around, bytes: Number(size), header, refusal: error.message, rows: undefined, isKept: false }
  }
}

async function checkRows (options: AdminOptions, realPath: string): Promise<{ snapshot: Snapshot, rows: RowsCheck }> {
  const nowMs = options.now()
  const renewed: string[] = []
  const load = describeLoad(options, nowMs, collectSessionIds(renewed))
  // As the times stand there; a start would take those to come for now.
  const snapshot = await readSnapshot(options.files, realPath, { ...load, nowMs: Infinity })
  const { fileRows, recovery, rows: { found, rejected, extraColumns } } = snapshot
  const isFuture = ({ session }: FoundRow): boolean => session.lastActivityMs > nowMs
  const present = found.map((row) => isFuture(row) ? { ...row, session: { ...row.session, lastActivityMs: nowMs }, line: undefined } : row)
  const loaded = await chooseSessions({ found: present, rejected: [], extraColumns }, load)
  const threads = new Map(found.map(({ session }) => [session.sessionId, session.threadId]))
  const inFile = rejected.slice(0, fileRows.rejected.length)
  const rows: RowsCheck = {
    sessions: loaded.sessions.length,
    expired: loaded.expired,
    badRows: [
      ...[...inFile, ...loaded.rejected].sort((a, b) => a.lineNumber - b.lineNumber).map((row) => describeBadRow(row, 'file')),
      ...rejected.slice(inFile.length).map((row) => describeBadRow(row, 'journal'))
    ],
    freshThreads: renewed.map((sessionId) => ({ sessionId, threadId: threads.get(sessionId) ?? '' })),
    future: found.filter(isFuture).map(({ session }) => ({ sessionId: session.sessionId, lastActivity: formatTime(session.lastActivityMs) })),
    journals: describeJournals(recovery),
    isRewritten: recovery.fitting.length > 0 || recovery.spent.length > 0 || snapshot.sha256 !== digest(loaded, extraColumns)
  }
  return { snapshot, rows }
}

/** The sessions of which a start says that they get a fresh thread. */
function collectSessionIds (ids: string[]): Log {
  return {
    info () {},
    warn: (fields) => { if ('session_id' in fields) ids.push(String(fields.session_id)) },
    error () {}
  }
}

function describeBadRow ({ lineNumber, reason, text, isUtf8 }: RejectedRow, source: 'file' | 'journal'): BadRow {
  return { line: lineNumber, source, reason, text: isUtf8 ? text : Buffer.from(text, 'latin1').toString('utf8') }
}

function describeJournals ({ fitting, spent, strangers }: Recovery): JournalCheck[] {
  return [
    ...fitting.map(({ path, changes, rest, isDamaged }): JournalCheck =>
      ({ name: basename(path), state: 'fits', changes: changes.size, tailBytes: rest, isDamaged })),
    ...spent.map((path): JournalCheck => ({ name: basename(path), state: 'spent' })),
    ...strangers.map(({ path, reason }): JournalCheck => ({ name: basename(path), state: 'stranger', reason }))
  ]
}

/** Of the file as a start would write it. */
function digest ({ sessions }: Loaded, extraColumns: readonly string[]): string {
  const hash = createHash('sha256')
  for (const chunk of formatFile(sessions, extraColumns)) hash.update(chunk)
  return hash.digest('hex')
}

function describe ({ path, bytes, header, refusal, rows, isInUse, unfinished, setAside, isKept }: Verification): object {
  return {
    path,
    keeps_everything: isKept,
    refusal: refusal ?? null,
    file: bytes === undefined ? null : { bytes },
    header: header === undefined
      ? null
      : {
          line: header.line ?? null,
          line_number: header.lineNumber,
          is_own: header.isOwn,
          extra_columns: header.extraColumns,
          missing_columns: header.missingColumns,
          has_bom: header.hasBom,
          has_crlf: header.hasCrlf
        },
    sessions: rows?.sessions ?? null,
    expired: rows?.expired ?? null,
    rejected: rows?.badRows ?? null,
    fresh_threads: rows?.freshThreads.map(({ sessionId, threadId }) => ({ session_id: sessionId, thread_id: threadId })) ?? null,
    future: rows?.future.map(({ sessionId, lastActivity }) => ({ session_id: sessionId, last_activity: lastActivity })) ?? null,
    journals: rows?.journals.map(({ name, state, reason = null, changes = null, tailBytes = null, isDamaged = null }) =>
      ({ name, state, reason, changes, tail_bytes: tailBytes, is_damaged: isDamaged })) ?? null,
    is_rewritten: rows?.isRewritten ?? null,
    is_in_use: isInUse,
    unfinished,
    set_aside: setAside
  }
}
