import { chmodSync, closeSync, existsSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { isCoded, ServiceError } from './errors.ts'

/** A look of `isLocked` takes microseconds, and must not keep anybody from starting. */
const LOOK_MS = 100

/**
 * The right to be the only writer of a file.
 *
 * *Promise.* While it is held, every other attempt fails within a tenth of a second, from another process, another pid namespace, or this
 * process. When the holder dies, by `kill -9` too, the kernel frees it in the same instant: there is no pid to compare and no heartbeat to go stale.
 *
 * *Not promised.* Nothing over a network file system without POSIX locks, and nothing once somebody deletes the lock file under its holder.
 */
export interface FileLock {
  /** Lets the next one in; a second call does nothing. The lock file stays: removing it would race with the next holder. */
  release (): void
}

/**
 * Takes the one-writer lock of a file, held on `<path>.lock` beside it. Two names of one file need the same real path to exclude each other.
 *
 * @throws ServiceError FILE_LOCKED when somebody holds it, STORE_UNAVAILABLE when the lock file cannot be used.
 */
export function lockFile (path: string): FileLock {
  const lockPath = `${path}.lock`
  let database: Database.Database | undefined
  try {
    createPrivately(lockPath)
    database = new Database(lockPath, { timeout: LOOK_MS })
    // A journal on disk would outlive a killed holder as a hot journal, for the next one to roll back.
    database.pragma('journal_mode = MEMORY')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    throw explain(path, error)
  }
  const held = database
  return { release: () => { held.close() } }
}

/**
 * SQLite would create the file readable for all. Only a file that is missing is opened here: closing any descriptor of a file drops the POSIX
 * locks that this process holds on it, through SQLite too.
 */
function createPrivately (lockPath: string): void {
  try {
    closeSync(openSync(lockPath, 'wx', 0o600))
    chmodSync(lockPath, 0o600)
  } catch (error) {
    if (!isCoded(error, 'EEXIST')) throw error
  }
}

function explain (path: string, cause: unknown): ServiceError {
  if (isCoded(cause, 'SQLITE_BUSY')) {
    return new ServiceError('FILE_LOCKED', { message: `${path} is in use by another process`, cause })
  }
  return new ServiceError('STORE_UNAVAILABLE', { message: `${path} cannot be locked: ${describe(cause)} (${path}.lock)`, cause })
}

function describe (cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/**
 * Whether somebody holds the one-writer lock of a file. Makes no lock file.
 *
 * *Not promised.* That a `lockFile` in the very instant of the look succeeds: the look takes a share of the lock for some microseconds.
 */
export function isLocked (path: string): boolean {
  let database: Database.Database | undefined
  try {
    database = new Database(`${path}.lock`, { readonly: true, fileMustExist: true, timeout: 0 })
    database.prepare('SELECT 1 FROM sqlite_master').get()
    return false
  } catch (error) {
    if (isCoded(error, 'SQLITE_BUSY')) return true
    if (isCoded(error, 'SQLITE_CANTOPEN') && !existsSync(`${path}.lock`)) return false
    throw new ServiceError('STORE_UNAVAILABLE', { message: `Nobody can tell whether ${path} is in use: ${describe(error)}`, cause: error })
  } finally {
    database?.close()
  }
}
