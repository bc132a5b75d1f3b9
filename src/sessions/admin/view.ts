import type { SessionServer } from '../../session-server.ts'
import { keepLatest, partExpired, type LoadOptions } from '../csv/load.ts'
import { findRealPath } from '../csv/path.ts'
import { readSnapshot, type Snapshot } from '../csv/snapshot.ts'
import type { FoundRow, ReadSession, RejectedRow } from '../csv/records.ts'
import type { Log } from '../../log.ts'
import { toSession } from '../move/record.ts'
import type { AdminOptions } from './options.ts'
import { count } from './text.ts'

const SILENT: Log = { info () {}, warn () {}, error () {} }

/** Sessions as they stand in a file, or on a server. */
export interface View {
  /** Of the file, or of the server. */
  readonly name: string
  readonly nowMs: number
  readonly live: readonly ReadSession[]
  /** Silent for too long, and still there. */
  readonly expired: readonly ReadSession[]
  /** Columns that the service does not know, in their order. */
  readonly extraColumns: readonly string[]
  /** What is said of a session that has expired. */
  readonly expiredText: string
  /** For stderr: what an operator ought to know about the answer. */
  readonly notes: readonly string[]
}

/** The sessions of a file as they stand there. */
export interface FileView extends View {
  readonly snapshot: Snapshot
  /** In the order of the file; of two rows with one id, the one that counts. */
  readonly live: readonly FoundRow[]
  readonly expired: readonly FoundRow[]
  /** What a start would set aside: rows that cannot be read, and of two with one id the other. */
  readonly rejected: readonly RejectedRow[]
}

/** Finds the one true path of a file, like `findRealPath`, and makes no folder for it. */
export async function findPath ({ files, path }: AdminOptions): Promise<string> {
  return await findRealPath({ ...files, makeFolder: async () => {} }, path, false)
}

/** What a start would know; its words are not for a reader. */
export function describeLoad ({ path, timeoutMs, newId }: AdminOptions, nowMs: number, log = SILENT): LoadOptions {
  return { path, timeoutMs, newId, nowMs, log }
}

/** Reads where the sessions are, whether a service runs or not. Changes nothing. */
export async function readView (options: AdminOptions): Promise<View> {
  const { openServer } = options
  if (openServer === undefined) return await readFileView(options)
  const server = await openServer()
  try {
    return await readServerView(options, server)
  } finally {
    await server.close()
  }
}

async function readServerView ({ now, timeoutMs }: AdminOptions, server: SessionServer): Promise<View> {
  const nowMs = now()
  const live: ReadSession[] = []
  const expired: ReadSession[] = []
  const columns = new Set<string>()
  for await (const records of server.read()) {
    for (const record of records) {
      const session = toSession(record)
      for (const name of Object.keys(session.extra)) columns.add(name)
      const part = nowMs - session.lastActivityMs <= timeoutMs ? live : expired
      part.push({ session })
    }
  }
  return { name: server.name, nowMs, live, expired, extraColumns: [...columns], expiredText: 'expired, not swept yet', notes: [] }
}

/** Reads a session file, whether a service is writing it or not. Changes nothing. */
export async function readFileView (options: AdminOptions): Promise<FileView> {
  const nowMs = options.now()
  const load = describeLoad(options, nowMs)
  const snapshot = await readSnapshot(options.files, await findPath(options), load)
  const { latest, doubles } = await keepLatest(snapshot.rows.found)
  const { alive, expired } = await partExpired(latest, load)
  const rejected = [...snapshot.rows.rejected, ...doubles].sort((a, b) => a.lineNumber - b.lineNumber)
  const { rows: { extraColumns } } = snapshot
  const notes = [...explain(options.path, snapshot, rejected)]
  return { name: options.path, snapshot, nowMs, live: alive, expired, rejected, extraColumns, expiredText: 'expired, still in the file', notes }
}

function * explain (path: string, { state, recovery }: Snapshot, rejected: readonly RejectedRow[]): Generator<string> {
  if (state === undefined) yield `There is no ${path}: a service that starts there begins empty`
  if (rejected.length > 0) yield `${count(rejected.length, 'row')} of ${path} left out, see verify`
  if (recovery.strangers.length > 0) yield `${count(recovery.strangers.length, 'journal')} beside ${path} not applied, see verify`
}
