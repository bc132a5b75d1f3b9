import { closeSync, mkdirSync, openSync, realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Tracer } from '@opentelemetry/api'
import { ServiceError } from '../errors.ts'
import { lockFile, type FileLock } from '../lock.ts'
import type { Log } from '../log.ts'
import type { AgentStatus, ThreadActivity } from './agent.ts'
import type { PruneOptions } from './checkpoints/saver.ts'
import type { Conversations } from './conversations.ts'
import { openDatabase, type ConversationDatabase } from './database.ts'
import { Distrust } from './distrust.ts'
import { checkFile } from './file-check.ts'
import { FileNotes } from './file-notes.ts'
import { FileSaver } from './file-saver.ts'
import type { WritePlaces } from './placed-writes.ts'
import { Reopening } from './reopening.ts'

const SILENT: Log = { info () {}, warn () {}, error () {} }

/** Where the conversations are. */
export interface ConversationFileOptions {
  readonly path: string
  readonly now?: () => number
  /** Hears when the disk begins to fail, and when it ends; none is silence. */
  readonly log?: Log
  /** Pause between two attempts to open the file again after its disk failed. */
  readonly retryMs?: number
  /** Makes a span of each write; none without it. */
  readonly tracer?: Tracer | undefined
}

/**
 * The file that keeps the conversations: LangGraph's checkpoints by thread, and beside them what the agent remembers about a person.
 *
 * *Promise.* What is acknowledged survives `kill -9` and a power cut (WAL with `synchronous=FULL`). One process at a time.
 *
 * A disk that fails is said: whoever meets it, and everybody after, gets CONVERSATIONS_UNAVAILABLE; `status` tells why. The handle is closed, and
 * the file is opened again, by itself and under the same lock, once
 * 1. it is there, may be written, and has room around it;
 * 2. its write-ahead log is synced anew and folded in (`wal_checkpoint(TRUNCATE)`);
 * 3. `quick_check` finds it whole;
 * 4. it takes a write.
 *
 * *Not promised.* That the file shrinks when threads are removed: SQLite reuses the pages. That a disk is noticed which fails only in a fold of
 * SQLite's own, in the middle of use: the log goes on growing, and says so when it cannot. That a file which is removed under us is missed
 * before it is opened again.
 */
export class ConversationFile implements Conversations {
  readonly isShared = false
  readonly checkpointer: FileSaver
  readonly notes: FileNotes
  readonly writes: WritePlaces
  readonly #file: Reopening<ConversationDatabase>
  readonly #lock: FileLock

  private constructor (file: Reopening<ConversationDatabase>, lock: FileLock, tracer?: Tracer) {
    this.#file = file
    this.#lock = lock
    this.checkpointer = new FileSaver(file, tracer)
    this.notes = new FileNotes(file)
    this.writes = {
      read: config => file.use(({ checkpoints }) => checkpoints.writes.read(config)),
      put: (config, writes) => file.use(({ checkpoints }) => checkpoints.writes.put(config, writes))
    }
  }

  /** Opens the file, or makes it; throws FILE_LOCKED or FILE_INVALID. */
  static async open ({ path, now = Date.now, log = SILENT, retryMs = 1000, tracer }: ConversationFileOptions): Promise<ConversationFile> {
    let lock: FileLock | undefined
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      // SQLite gives its -wal and -shm files the mode of the database, so the database is made first, for the owner alone.
      closeSync(openSync(path, 'a', 0o600))
      // Beside the real file stand its log, its lock and its mark.
      const realPath = realpathSync(path)
      lock = lockFile(realPath)
      const distrust = new Distrust(realPath, log)
      const open = async () => await openDatabase(realPath, now)
      const check = async () => {
        await checkFile(realPath)
        distrust.end()
      }
      const discard = ({ db }: ConversationDatabase) => {
        distrust.begin()
        // Folds in what this handle knows to be committed, if the disk lets it, and so leaves out the write that failed.
        db.close()
      }
      const close = (database: ConversationDatabase) => { closeDatabase(database, distrust, log) }
      if (distrust.isOn) {
        // A file that somebody emptied or removed is a new one.
        if (statSync(realPath).size > 0) await check()
        distrust.end()
      }
      return new ConversationFile(new Reopening(await open(), { open, check, discard, close, retryMs, now, log }), lock, tracer)
    } catch (error) {
      lock?.release()
      if (error instanceof ServiceError) throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw new ServiceError('FILE_INVALID', { message: `The conversations cannot be kept in ${path}: ${reason}`, cause: error })
    }
  }

  /** How often the disk failed under the file; see `Reopening`. */
  get epoch (): number {
    return this.#file.epoch
  }

  /** Whether conversations can be saved; see `Agent.status`. */
  status (): AgentStatus {
    return this.#file.status()
  }

  /** Removes a thread and its checkpoints. */
  async deleteThread (threadId: string): Promise<void> {
    await this.checkpointer.deleteThread(threadId)
  }

  /** Lets a thread lose what a turn that ended well made superfluous. What cannot be done now is done after the next such turn: it never rejects. */
  async prune (threadId: string, options: PruneOptions): Promise<void> {
    await this.checkpointer.prune(threadId, options).catch(() => {})
  }

  /** Threads in the order of their ids; see `Agent.listThreads`. */
  async listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]> {
    return await this.#file.use(async ({ db }) => {
      const next = db.prepare<[string], string>('SELECT thread_id FROM thread_checkpoints WHERE thread_id > ? ORDER BY thread_id LIMIT 1').pluck()
      const newest = db.prepare<[string], number>(`SELECT written_ms FROM thread_checkpoints
        WHERE thread_id = ? ORDER BY checkpoint_ns, seq DESC LIMIT 1`).pluck()
      const threads: ThreadActivity[] = []
      // Seeking from thread to thread costs what is returned; GROUP BY would read every checkpoint there is.
      for (let threadId = next.get(afterThreadId); threadId !== undefined && threads.length < limit; threadId = next.get(threadId)) {
        threads.push({ threadId, lastWriteMs: newest.get(threadId) ?? 0 })
      }
      return threads
    })
  }

  /** Folds the write-ahead log into the file, so that a copy of this one file is the whole. Safe to call twice. */
  async close (): Promise<void> {
    try {
      await this.#file.close()
    } finally {
      this.#lock.release()
    }
  }
}

function closeDatabase ({ db }: ConversationDatabase, distrust: Distrust, log: Log): void {
  try {
    db.pragma('wal_checkpoint(TRUNCATE)')
  } catch (error) {
    // The log stays beside the file, and the next start reads both.
    log.error({ err: error }, 'The conversations could not be folded into one file; keep the -wal file beside it')
    distrust.begin()
  } finally {
    db.close()
  }
}
