import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ServiceError } from '../../errors.ts'
import { lockFile, type FileLock } from '../../lock.ts'
import type { Log } from '../../log.ts'
import { Changes } from '../changes.ts'
import { GroupCommit } from '../group-commit.ts'
import { SessionTable } from '../memory.ts'
import type { LoadReport } from '../store.ts'
import type { TurnLocks } from '../turn-lock.ts'
import { ROWS_PER_TURN } from './codec.ts'
import { SessionFile } from './file.ts'
import { explainErrno, type FileOperations } from './files.ts'
import { formatRejected, loadSessions } from './load.ts'
import { checkReplaceable, findRealPath } from './path.ts'
import type { RejectedRow } from './records.ts'
import { RowLines } from './row-lines.ts'

/** What a session file is opened with. */
export interface CsvSessionStoreOptions {
  readonly path: string
  /** A session silent for longer has expired. */
  readonly timeoutMs: number
  /** `always`: a change survives a power cut once it is acknowledged. `never`: it survives a crash of the process alone. */
  readonly fsync: 'always' | 'never'
  readonly log: Log
  readonly now?: () => number
  /** Makes the thread id of a row that has none of its own. */
  readonly newId?: () => string
  readonly files?: FileOperations
  /** Pause between two attempts to save again after a failure; 1 000 unless told. */
  readonly retryMs?: number
}

/** What an open store works with. */
export interface Opened {
  readonly file: SessionFile
  readonly lines: RowLines
  readonly table: SessionTable
  readonly commit: GroupCommit
  readonly lock: FileLock
  readonly report: LoadReport
}

/** Refuses options that make no sense with a TypeError, saying what came. */
export function checkOptions ({ path, timeoutMs, fsync, retryMs = 1 }: CsvSessionStoreOptions): void {
  if (typeof path !== 'string' || path === '') throw new TypeError(`path must be the name of a file, received ${JSON.stringify(path)}`)
  for (const [name, value] of Object.entries({ timeoutMs, retryMs })) {
    if (!Number.isSafeInteger(value) || value < 1) throw new TypeError(`${name} must be a positive integer, received ${value}`)
  }
  if (fsync !== 'always' && fsync !== 'never') throw new TypeError(`fsync must be always or never, received ${JSON.stringify(fsync)}`)
}

/**
 * Locks and loads a session file, and brings it into our form where it is not.
 *
 * @throws ServiceError FILE_LOCKED, FILE_INVALID or STORE_UNAVAILABLE with one line for the operator; the lock is released then.
 */
export async function openFile (options: Required<CsvSessionStoreOptions>, turns: TurnLocks): Promise<Opened> {
  const { path, files } = options
  let lock: FileLock | undefined
  try {
    const realPath = await findRealPath(files, path, options.fsync === 'always')
    await checkReplaceable(files, realPath)
    lock = lockFile(realPath)
    return { ...await load(options, realPath, turns), lock }
  } catch (error) {
    lock?.release()
    if (error instanceof ServiceError) throw error
    throw new ServiceError('STORE_UNAVAILABLE', { message: `${path} cannot be opened: ${explainErrno(error)}`, cause: error })
  }
}

/** Waits for the changes under way and lets go of the file. A file that somebody else changed or removed stays as they left it. */
export async function closeFile ({ file, lines, table, commit, lock }: Opened, { path, log }: Required<CsvSessionStoreOptions>): Promise<void> {
  try {
    await commit.stop()
    const change = await file.findForeignChange()
    if (change === 'none') return
    const fields = { file: table.size === 0 ? undefined : (await file.keep('conflict', () => lines.chunks(table.walk()))).name }
    log.warn(fields, `${path} was ${change} by somebody else and stays so; the sessions of this run are kept in ${fields.file ?? 'no file: there are none'}`)
  } catch (error) {
    log.error({ err: error }, `${path} could not be looked after at the end: ${explainErrno(error)}`)
    throw error
  } finally {
    lock.release()
  }
}

async function load (options: Required<CsvSessionStoreOptions>, realPath: string, turns: TurnLocks): Promise<Omit<Opened, 'lock'>> {
  const { path, timeoutMs, fsync, now, newId, files, retryMs, log } = options
  log.info({ path }, `Loading sessions from ${path}`)
  const file = new SessionFile({ files, realPath, name: basename(path), isSynced: fsync === 'always', now, log })
  const read = await file.read()
  const loaded = await loadSessions(read?.lines ?? [], { path, timeoutMs, nowMs: now(), newId, log })
  const table = new SessionTable({ timeoutMs, now, isHeld: (sessionId) => turns.isHeld(sessionId) })
  for (const [index, session] of loaded.sessions.entries()) {
    table.put(session)
    if (index % ROWS_PER_TURN === 0) await nextTurn()
  }
  const lines = new RowLines(loaded.extraColumns)
  await lines.format(loaded.sessions)
  await keepRejected(loaded.rejected, file, options)
  const chunks = (): Iterable<Buffer> => lines.chunks(table.walk())
  if (read?.sha256 !== await digest(chunks())) await file.replace(chunks, { overwrites: true })
  const { expired, expiredThreads } = loaded
  const report: LoadReport = { loaded: table.size, expired, rejected: loaded.rejected.length, expiredThreads }
  log.info({ expired, rejected: report.rejected }, `Loaded ${report.loaded} sessions from ${path}`)
  const commit = new GroupCommit({
    begin: () => new Changes(table, (session) => { lines.check(session) }),
    save: async (changes) => {
      await lines.format(changes.changed())
      // Only a change of a session may overwrite what somebody else put there: not an attempt to recover.
      await file.replace(() => lines.chunks(changes.walk()), { overwrites: changes.size > 0 })
    },
    explain: explainErrno,
    retryMs,
    log
  })
  return { file, lines, table, commit, report }
}

/** Before the session file is rewritten without them. */
async function keepRejected (rejected: readonly RejectedRow[], file: SessionFile, { path, log }: Required<CsvSessionStoreOptions>): Promise<void> {
  if (rejected.length === 0) return
  const { name } = await file.keep('rejected', () => formatRejected(rejected))
  log.warn({ rejected: rejected.length, file: name }, `${rejected.length} rows of ${path} could not be read; they are kept in ${name}`)
}

async function digest (chunks: Iterable<Buffer>): Promise<string> {
  const hash = createHash('sha256')
  for (const chunk of chunks) {
    hash.update(chunk)
    await nextTurn()
  }
  return hash.digest('hex')
}
