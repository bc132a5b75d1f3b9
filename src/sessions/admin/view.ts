import { keepLatest, partExpired, type LoadOptions } from '../csv/load.ts'
import { findRealPath } from '../csv/path.ts'
import { readSnapshot, type Snapshot } from '../csv/snapshot.ts'
import type { FoundRow, RejectedRow } from '../csv/records.ts'
import type { Log } from '../../log.ts'
import type { AdminOptions } from './options.ts'
import { count } from './text.ts'

const SILENT: Log = { info () {}, warn () {}, error () {} }

/** The sessions of a file as they stand there. */
export interface View {
  readonly snapshot: Snapshot
  readonly nowMs: number
  /** In the order of the file; of two rows with one id, the one that counts. */
  readonly live: readonly FoundRow[]
  /** Silent for too long, and still there. */
  readonly expired: readonly FoundRow[]
  /** What a start would set aside: rows that cannot be read, and of two with one id the other. */
  readonly rejected: readonly RejectedRow[]
  /** For stderr: what an operator ought to know about the answer. */
  readonly notes: readonly string[]
}

/** Finds the one true path of a file, like `findRealPath`, and makes no folder for it. */
export async function findPath ({ files, path }: AdminOptions): Promise<string> {
  return await findRealPath({ ...files, makeFolder: async () => {} }, path, false)
}

/** What a start would know; its words are not for a reader. */
export function describeLoad ({ path, timeoutMs, newId }: AdminOptions, nowMs: number, log = SILENT): LoadOptions {
  return { path, timeoutMs, newId, nowMs, log }
}

/** Reads a session file, whether a service is writing it or not. Changes nothing. */
export async function readView (options: AdminOptions): Promise<View> {
  const nowMs = options.now()
  const load = describeLoad(options, nowMs)
  const snapshot = await readSnapshot(options.files, await findPath(options), load)
  const { latest, doubles } = await keepLatest(snapshot.rows.found)
  const { alive, expired } = await partExpired(latest, load)
  const rejected = [...snapshot.rows.rejected, ...doubles].sort((a, b) => a.lineNumber - b.lineNumber)
  return { snapshot, nowMs, live: alive, expired, rejected, notes: [...explain(options.path, snapshot, rejected)] }
}

function * explain (path: string, { state, recovery }: Snapshot, rejected: readonly RejectedRow[]): Generator<string> {
  if (state === undefined) yield `There is no ${path}: a service that starts there begins empty`
  if (rejected.length > 0) yield `${count(rejected.length, 'row')} of ${path} left out, see verify`
  if (recovery.strangers.length > 0) yield `${count(recovery.strangers.length, 'journal')} beside ${path} not applied, see verify`
}
