import { ServiceError } from '../../errors.ts'
import { lockFile, type FileLock } from '../../lock.ts'
import type { Log } from '../../log.ts'
import { Changes } from '../changes.ts'
import { GroupCommit } from '../group-commit.ts'
import type { StoreObserver } from '../store.ts'
import type { TurnLocks } from '../turn-lock.ts'
import { explainErrno, type FileOperations } from './files.ts'
import { FileFollower } from './follower.ts'
import { refuseUnfinished } from './move-file.ts'
import { checkReplaceable, findRealPath } from './path.ts'
import type { RowText } from './row-text.ts'
import { SessionSaver } from './saver.ts'
import { startFile, type Started } from './start.ts'

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
  readonly observer?: StoreObserver
}

/** What an open store works with. */
export interface Opened extends Started {
  readonly commit: GroupCommit<Changes<RowText>>
  readonly follower: FileFollower
  readonly saver: SessionSaver
  readonly lock: FileLock
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
    await refuseUnfinished(files, path, realPath)
    const started = await startFile(options, realPath, turns)
    return { ...started, ...join(started, options), lock }
  } catch (error) {
    lock?.release()
    if (error instanceof ServiceError) throw error
    throw new ServiceError('STORE_UNAVAILABLE', { message: `${path} cannot be opened: ${explainErrno(error)}`, cause: error })
  }
}

/**
 * Waits for the changes under way, brings the file up to date and lets go of it. A file that somebody else changed or removed stays as they left
 * it.
 */
export async function closeFile (opened: Opened, { path, log }: Required<CsvSessionStoreOptions>): Promise<void> {
  const { file, lines, commit, saver, journals, lock } = opened
  try {
    await commit.stop()
    await saver.stop()
    const change = await file.findForeignChange()
    if (change === 'none') return
    const fields = { file: lines.size === 0 ? undefined : (await file.aside.keep('conflict', () => lines.chunks())).name }
    log.warn(fields, `${path} was ${change} by somebody else and stays so; the sessions of this run are kept in ${fields.file ?? 'no file: there are none'}`)
    await journals.drop()
  } catch (error) {
    log.error({ err: error }, `${path} could not be looked after at the end: ${explainErrno(error)}`)
    throw error
  } finally {
    await journals.close()
    lock.release()
  }
}

/** Changes of sessions, in groups, to what saves them and to the table. */
function join (
  { file, journals, lines, formatter, table }: Started, { retryMs, log, observer }: Required<CsvSessionStoreOptions>
): Pick<Opened, 'commit' | 'follower' | 'saver'> {
  const follower = new FileFollower({ file, journals, lines, wake: () => { commit.wake() }, retryMs, log })
  const saver = new SessionSaver({ file, journals, lines, follower })
  const commit = new GroupCommit<Changes<RowText>>({
    begin: () => new Changes(table, formatter),
    save: (changes) => observeSave(changes.size, () => saver.save(changes.changed), observer),
    apply: (changes) => { changes.apply() },
    maintain: () => saver.maintain(),
    explain: explainErrno,
    retryMs: () => follower.retryMs,
    log
  })
  return { commit, follower, saver }
}

async function observeSave (changes: number, save: () => Promise<void>, observer: StoreObserver): Promise<void> {
  const startedMs = performance.now()
  try {
    await save()
  } catch (error) {
    observer.refused(changes)
    throw error
  }
  observer.saved(changes, performance.now() - startedMs)
}
