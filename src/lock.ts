import { chmodSync, closeSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { isCoded, ServiceError } from './errors.ts'

/**
 * The right to be the only writer of a file.
 *
 * *Promise.* While it is held, every other attempt fails at once, from another process, another pid namespace, or this process. When the
 * holder dies, by `kill -9` too, the kernel frees it in the same instant: there is no pid to compare and no heartbeat to go stale.
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
    database = new Database(lockPath, { timeout: 0 })
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
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new ServiceError('STORE_UNAVAILABLE', { message: `${path} cannot be locked: ${reason} (${path}.lock)`, cause })
}
