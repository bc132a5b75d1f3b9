import { ServiceError } from '../../errors.ts'
import type { Changed } from '../changes.ts'
import type { Session } from '../session.ts'
import { createRowFormatter } from './codec.ts'
import { COLUMNS } from './header.ts'
import { checkSession, formatCells, RowError } from './row.ts'

/** Joined and handed to the disk at once: small enough to take well under a millisecond. */
const CHUNK_LENGTH = 64 * 1024

/** What a group of changes makes of the lines; undefined is a removal. */
export type ChangedLines = ReadonlyMap<string, Changed<string> | undefined>

const NO_CHANGES: ChangedLines = new Map()

/**
 * The line of each session in the file, formatted once: a rewrite of the file joins strings.
 *
 * *Promise.* Whatever changes while `chunks` is being read, each session comes at most once, and each that is there from the beginning to the end
 * comes: a Map is walked in the order in which its keys came, and a key that gets a new value keeps its place. One that was removed meanwhile and is
 * there again does not come.
 */
export class RowLines {
  readonly #extraColumns: readonly string[]
  readonly #header: string
  readonly #formatRow = createRowFormatter()
  readonly #lines = new Map<string, string>()
  /** What was removed while `chunks` is being read, for each who reads: there again, it would stand behind all others and come twice. */
  readonly #removals = new Set<Set<string>>()

  /** @param extraColumns Columns that the service does not know, written behind its own. */
  constructor (extraColumns: readonly string[]) {
    this.#extraColumns = extraColumns
    this.#header = this.#formatRow([...COLUMNS, ...extraColumns])
  }

  get size (): number {
    return this.#lines.size
  }

  /** The columns of the file, in their order. */
  get columns (): readonly string[] {
    return [...COLUMNS, ...this.#extraColumns]
  }

  /**
   * The line of a session.
   *
   * @throws ServiceError REQUEST_INVALID if it could not be read back, saying why; a TypeError if its metadata or approval has no JSON form.
   */
  format (session: Session): string {
    try {
      checkSession(session, this.#extraColumns)
    } catch (cause) {
      if (cause instanceof RowError) throw new ServiceError('REQUEST_INVALID', { message: cause.message, cause })
      throw cause
    }
    return this.#formatRow(formatCells(session, this.#extraColumns))
  }

  put (sessionId: string, line: string): void {
    this.#lines.set(sessionId, line)
  }

  remove (sessionId: string): void {
    this.#lines.delete(sessionId)
    for (const removed of this.#removals) removed.add(sessionId)
  }

  /** Makes the lines what the changes say. */
  apply (changes: ChangedLines): void {
    for (const [sessionId, changed] of changes) {
      if (changed === undefined) this.remove(sessionId)
      else this.#lines.set(sessionId, changed.row)
    }
  }

  /** Whether a file with these changes would hold at most so many sessions and bytes. Costs no more than that many lines. */
  isWithin (limit: { sessions: number, bytes: number }, changes: ChangedLines): boolean {
    if (this.#lines.size - changes.size > limit.sessions) return false
    // One of them is the header.
    let sessions = -1
    let bytes = 0
    for (const line of this.#walk(changes)) {
      bytes += Buffer.byteLength(line) + 1
      if (++sessions > limit.sessions || bytes > limit.bytes) return false
    }
    return true
  }

  /** The bytes of a file with these changes, in slices. */
  * chunks (changes = NO_CHANGES): Generator<Buffer> {
    const removed = new Set<string>()
    this.#removals.add(removed)
    try {
      yield * slice(this.#walk(changes, removed))
    } finally {
      this.#removals.delete(removed)
    }
  }

  * #walk (changes: ChangedLines, removed?: ReadonlySet<string>): Generator<string> {
    yield this.#header
    for (const [sessionId, line] of this.#lines) {
      if (removed?.has(sessionId) === true) continue
      const changed = changes.get(sessionId)
      if (changed !== undefined) yield changed.row
      else if (!changes.has(sessionId)) yield line
    }
    for (const [sessionId, changed] of changes) {
      if (changed !== undefined && !this.#lines.has(sessionId)) yield changed.row
    }
  }
}

function * slice (lines: Iterable<string>): Generator<Buffer> {
  let part: string[] = []
  let length = 0
  for (const line of lines) {
    part.push(line)
    length += line.length
    if (length < CHUNK_LENGTH) continue
    yield join(part)
    part = []
    length = 0
  }
  if (part.length > 0) yield join(part)
}

function join (lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join('\n')}\n`)
}
