import { closeSync, existsSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { ServiceError } from '../errors.ts'

/** SQLite shuts readers out for a moment where it puts a log in order that a killed service left. */
const BUSY_TIMEOUT_MS = 5000

/**
 * Copies the file of the conversations while a service may be writing it.
 *
 * *Promise.* The copy is one whole file, readable by its owner alone, as the conversations were at one instant of the call, and synced; or there
 * is no copy and this throws. All that was acknowledged before the call is in it. Writers are not made to wait: a reader of a write-ahead log
 * keeps it from being cut short until the reader ends, and does no more. The service's lock is not touched.
 *
 * *Not promised.* That the folder's entry survives a power cut: the caller sees to that. That nothing appears beside the original: where no service
 * runs, SQLite leaves an empty `-wal` and a `-shm` file, as it does for every reader.
 *
 * @param target A file that must not exist yet.
 * @returns The bytes of the copy; undefined if there are no conversations.
 */
export function copyConversations (path: string, target: string): number | undefined {
  if (!existsSync(path)) return undefined
  // Exclusively, and for the owner alone: SQLite takes an empty file for the place to write to, and keeps its mode.
  closeSync(openSync(target, 'wx', 0o600))
  try {
    vacuum(path, target)
    // SQLite leaves that to the caller: a power cut could leave half a copy under the name of a whole one.
    sync(target)
    return statSync(target).size
  } catch (error) {
    rmSync(target, { force: true })
    rmSync(`${target}-journal`, { force: true })
    const reason = error instanceof Error ? error.message : String(error)
    throw new ServiceError('CONVERSATIONS_UNAVAILABLE', { message: `${path} cannot be copied: ${reason}`, cause: error })
  }
}

function vacuum (path: string, target: string): void {
  const database = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
  try {
    // One statement is one transaction.
    database.prepare('VACUUM INTO ?').run(target)
  } finally {
    database.close()
  }
}

function sync (path: string): void {
  const file = openSync(path, 'r+')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
