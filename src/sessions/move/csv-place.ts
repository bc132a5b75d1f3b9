import { createHash, randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import { ServiceError } from '../../errors.ts'
import { isLocked, lockFile, type FileLock } from '../../lock.ts'
import type { Log } from '../../log.ts'
import { joinLines } from '../csv/file-text.ts'
import type { FileOperations } from '../csv/files.ts'
import { chooseSessions, type LoadOptions } from '../csv/load.ts'
import { findMovePath, readMoveFile } from '../csv/move-file.ts'
import { checkReplaceable, findRealPath, ifPresent } from '../csv/path.ts'
import { syncFolder, writeNewFile } from '../csv/rewrite.ts'
import { checkSession } from '../csv/row.ts'
import { formatLine, RowFormatter } from '../csv/row-text.ts'
import { readSnapshot, type Snapshot } from '../csv/snapshot.ts'
import type { SessionRecord } from '../kept-session.ts'
import type { Session } from '../session.ts'
import { BATCH_SIZE, type RecordBatches, type SessionPlace } from './place.ts'
import { toRecord, toSession } from './record.ts'

const SILENT: Log = { info () {}, warn () {}, error () {} }

/** What a session file says. */
interface Content {
  readonly sessions: ReadonlyMap<string, Session>
  readonly extraColumns: readonly string[]
  readonly notes: readonly string[]
}

/** Which file, and what is done with it. */
export interface CsvPlaceOptions {
  readonly path: string
  readonly files: FileOperations
  /** A source has to be there. A target that nothing is written to is `looked at`: then no folder is made for it, and no lock. */
  readonly role: 'source' | 'target' | 'looked at'
}

/**
 * Sessions in a session file, which nobody else has meanwhile.
 *
 * *Promise.* As a source the file is only read, its journals with it, and everything in it that a start would take is there, the expired too; a
 * session that a start would give a fresh thread gets one here, the same one each time. As a target, whoever opens the file finds what was
 * there before, or all that was moved.
 *
 * *Not promised.* Memory that does not grow with the file: the service, too, has all of it in memory.
 */
export class CsvSessionPlace implements SessionPlace {
  readonly isWrittenAnew = true
  readonly #options: CsvPlaceOptions
  readonly #realPath: string
  readonly #lock: FileLock
  #content: Content

  private constructor (options: CsvPlaceOptions, realPath: string, lock: FileLock, content: Content) {
    this.#options = options
    this.#realPath = realPath
    this.#lock = lock
    this.#content = content
  }

  /** Throws FILE_LOCKED while a service has the file, FILE_INVALID if it is not what it should be. */
  static async open (options: CsvPlaceOptions): Promise<CsvSessionPlace> {
    const { path, files, role } = options
    if (role === 'source' && await ifPresent(files.stat(path)) === undefined) throw new ServiceError('FILE_INVALID', { message: `There is no ${path} to move` })
    const isLookedAt = role === 'looked at'
    const realPath = await findRealPath(isLookedAt ? { ...files, makeFolder: async () => {} } : files, path, !isLookedAt)
    await ifPresent(checkReplaceable(files, realPath))
    const lock = isLookedAt ? await lookAtLock(files, path, realPath) : lockFile(realPath)
    try {
      return new CsvSessionPlace(options, realPath, lock, await readContent(options, realPath))
    } catch (error) {
      lock.release()
      throw error
    }
  }

  get notes (): readonly string[] {
    return this.#content.notes
  }

  async * read (): AsyncGenerator<SessionRecord[]> {
    const { sessions, extraColumns } = this.#content
    let batch: SessionRecord[] = []
    for (const session of sessions.values()) {
      if (batch.push(toRecord(session, extraColumns)) < BATCH_SIZE) continue
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  }

  async find (sessionIds: readonly string[]): Promise<Map<string, SessionRecord>> {
    const { sessions, extraColumns } = this.#content
    return new Map(sessionIds.flatMap(id => {
      const session = sessions.get(id)
      return session === undefined ? [] : [[id, toRecord(session, extraColumns)]]
    }))
  }

  /** Writes the whole file anew: what is not among these sessions is not in it. */
  async write (batches: RecordBatches, extraColumns: readonly string[]): Promise<void> {
    const { files } = this.#options
    const temporary = `${this.#realPath}.tmp`
    // What an earlier attempt left; the lock keeps other writers away.
    await ifPresent(files.remove(temporary))
    const like = await ifPresent(files.stat(this.#realPath))
    await writeNewFile(files, temporary, formatFile(batches, extraColumns), { isSynced: true, like })
    await files.rename(temporary, this.#realPath)
    await syncFolder(files, dirname(this.#realPath))
    this.#content = await readContent(this.#options, this.#realPath)
  }

  check (record: SessionRecord): void {
    const session = toSession(record)
    checkSession(session, Object.keys(session.extra))
  }

  /** The file was written without them. */
  async remove (): Promise<void> {}

  async readMark (): Promise<string | undefined> {
    return await readMoveFile(this.#options.files, this.#realPath)
  }

  async mark (source: string): Promise<void> {
    const { files } = this.#options
    const path = findMovePath(this.#realPath)
    await ifPresent(files.remove(path))
    await writeNewFile(files, path, [Buffer.from(`${source}\n`)], { isSynced: true })
    await syncFolder(files, dirname(path))
  }

  async unmark (): Promise<void> {
    const { files } = this.#options
    const path = findMovePath(this.#realPath)
    await ifPresent(files.remove(path))
    await syncFolder(files, dirname(path))
  }

  async close (): Promise<void> {
    this.#lock.release()
  }
}

/** Throws FILE_LOCKED if somebody has the file, and takes no lock. */
async function lookAtLock (files: FileOperations, path: string, realPath: string): Promise<FileLock> {
  const isThere = await ifPresent(files.lstat(`${realPath}.lock`)) !== undefined
  if (isThere && isLocked(realPath)) throw new ServiceError('FILE_LOCKED', { message: `${path} is in use by another process` })
  return { release () {} }
}

/** Reads what a start would read, and leaves nothing out for being old. */
async function readContent ({ path, files, role }: CsvPlaceOptions, realPath: string): Promise<Content> {
  const made = new Set<string>()
  const newId = (): string => {
    const id = randomUUID()
    made.add(id)
    return id
  }
  // As the times stand there: a start would take those to come for now.
  const load: LoadOptions = { path, timeoutMs: Infinity, nowMs: Infinity, newId, log: SILENT }
  const snapshot = await readSnapshot(files, realPath, load)
  const { sessions, rejected } = await chooseSessions(snapshot.rows, load)
  if (role !== 'source' && snapshot.recovery.strangers.length > 0) {
    throw new ServiceError('FILE_INVALID', { message: `A journal of another file lies beside ${path}: put it elsewhere` })
  }
  return {
    sessions: new Map(sessions.map(({ session }) => [session.sessionId, made.has(session.threadId) ? renewThread(session) : session])),
    extraColumns: snapshot.rows.extraColumns,
    notes: [...explain(path, snapshot, rejected.length, made.size)]
  }
}

/** A thread that a run which goes on with the move gives it, too. */
function renewThread (session: Session): Session {
  const digits = createHash('sha256').update(`thread of ${session.sessionId}`).digest('hex')
  const threadId = [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20, 32)].join('-')
  return { ...session, threadId }
}

function * explain (path: string, { recovery }: Snapshot, rejected: number, renewed: number): Generator<string> {
  if (rejected > 0) yield `Rows of ${path} that cannot be read and stay behind: ${rejected}; see verify`
  if (renewed > 0) yield `Sessions of ${path} that go on with a fresh thread, since they have none of their own: ${renewed}; see verify`
  if (recovery.strangers.length > 0) yield `Journals beside ${path} that belong to another file and stay behind: ${recovery.strangers.length}; see verify`
}

async function * formatFile (batches: RecordBatches, extraColumns: readonly string[]): AsyncGenerator<Buffer> {
  const formatter = new RowFormatter(extraColumns)
  yield * joinLines([formatter.header])
  for await (const records of batches) {
    yield * joinLines(records.map(record => {
      const session = toSession(record)
      return formatLine({ session, row: formatter.prepare(session) })
    }))
  }
}
