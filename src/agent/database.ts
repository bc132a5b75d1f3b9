import Database from 'better-sqlite3'
import { ThreadSaver } from './checkpoints/saver.ts'
import { ItemStore } from './item-store.ts'
import { BUSY_TIMEOUT_MS } from './whole-file.ts'

/** One connection to the file of the conversations, and what stands on it: none of it outlives the connection. */
export interface ConversationDatabase {
  readonly db: Database.Database
  readonly checkpoints: ThreadSaver
  readonly notes: ItemStore
}

/**
 * Opens the file, which has to be there, and makes the tables that are not.
 *
 * *Promise.* It takes writes, and what it takes is durable: a disk that is full, read-only or failing throws here, not at the first turn.
 */
export async function openDatabase (path: string, now: () => number): Promise<ConversationDatabase> {
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS, fileMustExist: true })
  try {
    const mode = db.pragma('journal_mode = WAL', { simple: true })
    if (mode !== 'wal') throw new Database.SqliteError(`the file cannot be kept with a write-ahead log, only with ${String(mode)}`, 'SQLITE_CANTOPEN')
    // With NORMAL, SQLite's choice for a log, a power cut loses acknowledged commits.
    db.pragma('synchronous = FULL')
    const checkpoints = new ThreadSaver(db, { now })
    const notes = new ItemStore(db, now)
    // Tables that are there already are no write, and reads alone find nothing wrong with a full disk: one page, written anew and synced, does.
    db.pragma(`user_version = ${String(db.pragma('user_version', { simple: true }))}`)
    return { db, checkpoints, notes }
  } catch (error) {
    db.close()
    throw error
  }
}
