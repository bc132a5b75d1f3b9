import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import Database from 'better-sqlite3'
import { isCoded } from '../errors.ts'

/** A lock of SQLite's blocks the thread while it is waited for, so the wait is short. */
export const BUSY_TIMEOUT_MS = 250

const SLICE_BYTES = 1024 * 1024

/**
 * Reads the whole file of the conversations, its write-ahead log folded in before; throws if it is not whole. Takes its time: see `checkFile`.
 *
 * A thread is started for it, so that this module imports as little as it can.
 */
export function readWhole (path: string): void {
  rewriteLog(`${path}-wal`)
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS, fileMustExist: true })
  try {
    const table = db.prepare("SELECT 1 FROM sqlite_master WHERE name IN ('thread_checkpoints', 'checkpoints')").get()
    if (table === undefined) throw new Database.SqliteError('The file holds no conversations', 'SQLITE_NOTADB')
    const isBusy = db.pragma('wal_checkpoint(TRUNCATE)', { simple: true })
    if (isBusy !== 0) throw new Database.SqliteError('The write-ahead log is in use by another program', 'SQLITE_BUSY')
    const found = db.pragma('quick_check(1)', { simple: true })
    if (found !== 'ok') throw new Database.SqliteError(`quick_check: ${String(found).replaceAll(/\s+/g, ' ')}`, 'SQLITE_CORRUPT')
  } finally {
    db.close()
  }
}

/**
 * Writes the log's bytes over themselves and syncs them.
 *
 * After a sync that failed the kernel takes the pages for clean: the next one succeeds and means nothing. A log whose end is in memory alone would
 * then be folded into the file, and a power cut half-way would leave pages of a transaction whose rest is nowhere. Pages that are written anew are
 * synced in earnest.
 */
function rewriteLog (path: string): void {
  let file: number
  try {
    file = openSync(path, 'r+')
  } catch (error) {
    if (isCoded(error, 'ENOENT')) return
    throw error
  }
  try {
    const slice = Buffer.alloc(SLICE_BYTES)
    for (let position = 0, read = 0; (read = readSync(file, slice, 0, SLICE_BYTES, position)) > 0;) {
      // The count may be short without an error: what was not written is read again.
      position += writeSync(file, slice, 0, read, position)
    }
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
