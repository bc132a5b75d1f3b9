import { closeSync, mkdirSync, openSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import Database from 'better-sqlite3'
import { ServiceError } from '../errors.ts'
import { lockFile, type FileLock } from '../lock.ts'
import type { ThreadActivity } from './agent.ts'
import { ItemStore } from './item-store.ts'

/** A lock of SQLite's blocks the event loop while it is waited for, so the wait is short. */
const BUSY_TIMEOUT_MS = 250

const ThreadRow = Type.Object({ thread_id: Type.String(), checkpoint_id: Type.String() })

/** Where the conversations are. */
export interface ConversationFileOptions {
  readonly path: string
  readonly now?: () => number
}

/**
 * The file that keeps the conversations: LangGraph's checkpoints by thread, and beside them what the agent remembers about a person.
 *
 * *Promise.* What is acknowledged survives `kill -9` and a power cut (WAL with `synchronous=FULL`: LangGraph's saver on its own runs with NORMAL,
 * which loses acknowledged commits at a power cut). One process at a time.
 *
 * *Not promised.* That the file shrinks when threads are removed: SQLite reuses the pages. That a database whose disk failed is used again
 * without a restart.
 */
export class ConversationFile {
  readonly checkpointer: SqliteSaver
  readonly notes: ItemStore
  readonly #db: Database.Database
  readonly #lock: FileLock

  private constructor (db: Database.Database, lock: FileLock, now: () => number) {
    this.#db = db
    this.#lock = lock
    this.checkpointer = new SqliteSaver(db)
    this.notes = new ItemStore(db, now)
  }

  /** Opens the file, or makes it; throws FILE_LOCKED or FILE_INVALID. */
  static async open ({ path, now = Date.now }: ConversationFileOptions): Promise<ConversationFile> {
    let lock: FileLock | undefined
    let db: Database.Database | undefined
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      // SQLite gives its -wal and -shm files the mode of the database, so the database is made first, for the owner alone.
      closeSync(openSync(path, 'a', 0o600))
      lock = lockFile(realpathSync(path))
      db = new Database(path, { timeout: BUSY_TIMEOUT_MS })
      db.pragma('journal_mode = WAL')
      db.pragma('synchronous = FULL')
      const file = new ConversationFile(db, lock, now)
      // The saver makes its tables at its first use.
      await file.checkpointer.getTuple({ configurable: { thread_id: '' } })
      return file
    } catch (error) {
      db?.close()
      lock?.release()
      if (error instanceof ServiceError) throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw new ServiceError('FILE_INVALID', { message: `The conversations cannot be kept in ${path}: ${reason}`, cause: error })
    }
  }

  /** Removes a thread and its checkpoints. */
  async deleteThread (threadId: string): Promise<void> {
    await this.checkpointer.deleteThread(threadId)
  }

  /** Threads in the order of their ids; see `Agent.listThreads`. */
  async listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]> {
    const next = this.#db.prepare('SELECT thread_id, checkpoint_id FROM checkpoints WHERE thread_id > ? ORDER BY thread_id LIMIT 1')
    const newest = this.#db.prepare(`SELECT thread_id, checkpoint_id FROM checkpoints
      WHERE thread_id = ? AND checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT 1`)
    const threads: ThreadActivity[] = []
    // Seeking from thread to thread costs what is returned; GROUP BY would read every checkpoint there is.
    for (let row = next.get(afterThreadId); row !== undefined && threads.length < limit;) {
      const { thread_id: threadId } = Value.Parse(ThreadRow, row)
      const { checkpoint_id: id } = Value.Parse(ThreadRow, newest.get(threadId) ?? row)
      threads.push({ threadId, lastWriteMs: parseUuid6Time(id) })
      row = next.get(threadId)
    }
    return threads
  }

  /** Folds the write-ahead log into the file, so that a copy of this one file is the whole. Safe to call twice. */
  close (): void {
    try {
      if (this.#db.open) this.#db.pragma('wal_checkpoint(TRUNCATE)')
    } finally {
      // On a disk that takes no checkpoint the log stays beside the file, and the next start reads both.
      this.#db.close()
      this.#lock.release()
    }
  }
}

/**
 * The time in a version 6 UUID (RFC 9562, 5.6: 100 ns steps since 1582-10-15), which LangGraph gives its checkpoints.
 * Milliseconds since the epoch.
 */
export function parseUuid6Time (uuid: string): number {
  const hex = uuid.replaceAll('-', '')
  const steps = BigInt(`0x${hex.slice(0, 12)}${hex.slice(13, 16)}`)
  return Number((steps - 122_192_928_000_000_000n) / 10_000n)
}
