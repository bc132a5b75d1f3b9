import { formatFile } from '../csv/file-text.ts'
import { readLines } from '../csv/lines.ts'
import { chooseSessions, keepLatest, partExpired, readRows, type FoundRows } from '../csv/load.ts'
import { closeFile, openFile, type CsvSessionStoreOptions, type Opened } from '../csv/open.ts'
import { UNOBSERVED } from '../csv/observed-files.ts'
import type { FoundRow, ReadSession, RejectedRow } from '../csv/records.ts'
import { explainErrno } from '../csv/files.ts'
import { ServiceError } from '../../errors.ts'
import { ignoreErrors } from '../csv/rewrite.ts'
import type { Session } from '../session.ts'
import { TurnLocks } from '../turn-lock.ts'
import { makeLogNotes, type LogNotes } from './log-notes.ts'
import { mergeSessions, type Merge } from './merge.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { count, escapeControls } from './text.ts'
import { describeLoad, readFileView, type FileView } from './view.ts'

/** What another file brings. */
interface Incoming {
  readonly alive: readonly FoundRow[]
  readonly expired: number
  readonly rejected: readonly RejectedRow[]
  readonly extraColumns: readonly string[]
}

const RETRY_MS = 1000

/**
 * Adds the sessions of another file, of any form that a start reads, to those that are here.
 *
 * *Promise.* All of it or nothing: one rewrite of the file, as durable as any. Of a session that both have, the more recently active stays. A thread
 * that is used twice is resolved as a start does. The other file is only read. Importing it again changes nothing.
 *
 * *Not promised.* Conversations: they are in a file of their own.
 *
 * @throws ServiceError FILE_LOCKED while a service has the file, FILE_INVALID if one of the two is no session file.
 */
export async function importSessions (options: AdminOptions, source: string): Promise<Outcome> {
  const notes = makeLogNotes()
  const incoming = await readIncoming(options, source)
  const storeOptions: Required<CsvSessionStoreOptions> = { ...options, log: notes.log, retryMs: RETRY_MS, observer: UNOBSERVED }
  const opened = await openFile(storeOptions, new TurnLocks())
  let merge: Merge
  try {
    // What a start made of the file.
    const own = await readFileView(options)
    merge = mergeSessions(own.live.map(({ session }) => session), incoming.alive.map(({ session }) => session))
    if (merge.added.length + merge.replaced.length > 0) await write(options, opened, own, merge, incoming, notes)
  } catch (error) {
    await ignoreErrors(closeFile(opened, storeOptions))
    throw error
  }
  await closeFile(opened, storeOptions)
  return report(options, source, incoming, merge, notes)
}

async function readIncoming (options: AdminOptions, source: string): Promise<Incoming> {
  const { files, now } = options
  const load = { ...describeLoad(options, now()), path: source }
  const file = await files.open(source)
  try {
    const { found, rejected, extraColumns }: FoundRows = await readRows(readLines(file), load)
    const { latest, doubles } = await keepLatest(found)
    const { alive, expired } = await partExpired(latest, load)
    const bad = [...rejected, ...doubles].sort((a, b) => a.lineNumber - b.lineNumber)
    return { alive, expired: expired.length, rejected: bad, extraColumns }
  } finally {
    await file.close()
  }
}

async function write (
  options: AdminOptions, { file }: Opened, own: FileView, { added, replaced }: Merge, { extraColumns: others }: Incoming, { log }: LogNotes
): Promise<void> {
  const { extraColumns: ours } = own.snapshot.rows
  const columns = [...ours, ...others.filter((name) => !ours.includes(name))]
  // What is known of a line holds for its columns alone.
  const toRow = (session: Session, line?: string): FoundRow => ({ session, line: columns.length === ours.length ? line : undefined, lineNumber: 0, text: '' })
  const taken = [...added, ...replaced]
  const takenIds = new Set(taken.map(({ sessionId }) => sessionId))
  const isTaken = ({ session }: ReadSession): boolean => takenIds.has(session.sessionId)
  const kept = own.live.filter((row) => !isTaken(row)).map(({ session, line }) => toRow(session, line))
  // Those that are here come last: of two that were active in the same instant, they keep the thread.
  const found = [...taken.map((session) => toRow(session)), ...kept]
  const load = { ...describeLoad(options, own.nowMs, log), timeoutMs: Infinity }
  const { sessions } = await chooseSessions({ found, rejected: [], extraColumns: columns }, load)
  // In the file it is the other way round: what is new stands at its end.
  const ordered = [...sessions.filter((one) => !isTaken(one)), ...sessions.filter(isTaken)]
  try {
    await file.replace(() => formatFile(ordered, columns), { overwrites: true })
  } catch (cause) {
    throw new ServiceError('STORE_UNAVAILABLE', { message: `${options.path} could not be written, and is as it was: ${explainErrno(cause)}`, cause })
  }
}

function report (
  { path }: AdminOptions, source: string, { expired, rejected }: Incoming, { added, replaced, left }: Merge, { did, warnings }: LogNotes
): Outcome {
  return {
    json: {
      path,
      source,
      added: added.length,
      replaced: replaced.length,
      left,
      expired,
      rejected: rejected.map(({ lineNumber, reason }) => ({ line: lineNumber, reason })),
      messages: [...did, ...warnings]
    },
    text: [escapeControls(`${source}: ${count(added.length, 'session')} added, ${replaced.length} replaced, ${left} left as they were, ` +
      `${expired} expired, ${rejected.length} rejected`), '\n'],
    notes: [...warnings, ...rejected.map(({ lineNumber, reason }) => `${source}, line ${lineNumber}: ${reason}`)]
  }
}
