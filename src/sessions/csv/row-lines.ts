import type { SessionTable, StoredSession } from '../memory.ts'
import { joinLines } from './file-text.ts'
import { formatLine, measureLine, type RowFormatter, type RowText } from './row-text.ts'

/** What a group of changes makes of the sessions; undefined is a removal. */
export type ChangedRows = ReadonlyMap<string, StoredSession<RowText> | undefined>

const NO_CHANGES: ChangedRows = new Map()

/**
 * The lines of the session file, made of the table and of changes that are not in it yet.
 *
 * *Promise.* Whatever changes in the table while `chunks` is being read, each session comes at most once, and each that is there from the beginning
 * to the end comes.
 */
export class RowLines {
  readonly #header: string
  readonly #table: SessionTable<RowText>

  constructor ({ header }: RowFormatter, table: SessionTable<RowText>) {
    this.#header = header
    this.#table = table
  }

  /** Sessions, the expired included. */
  get size (): number {
    return this.#table.size
  }

  /** Whether a file with these changes would hold at most so many sessions and bytes. Costs no more than that many lines. */
  isWithin (limit: { sessions: number, bytes: number }, changes: ChangedRows): boolean {
    if (this.size - changes.size > limit.sessions) return false
    let sessions = 0
    let bytes = Buffer.byteLength(this.#header) + 1
    for (const stored of this.#walk(changes)) {
      bytes += measureLine(stored) + 1
      if (++sessions > limit.sessions || bytes > limit.bytes) return false
    }
    return bytes <= limit.bytes
  }

  /** What takes these changes back: the sessions as they are in the table. */
  findBefore (changes: ChangedRows): ChangedRows {
    return new Map([...changes.keys()].map((sessionId) => [sessionId, this.#table.find(sessionId)]))
  }

  /** The bytes of a file with these changes, in slices. */
  chunks (changes = NO_CHANGES): Generator<Buffer> {
    return joinLines(this.#format(changes))
  }

  * #format (changes: ChangedRows): Generator<string> {
    yield this.#header
    for (const stored of this.#walk(changes)) yield formatLine(stored)
  }

  * #walk (changes: ChangedRows): Generator<StoredSession<RowText>> {
    for (const stored of this.#table.walk()) {
      const { sessionId } = stored.session
      const changed = changes.get(sessionId)
      if (changed !== undefined) yield changed
      else if (!changes.has(sessionId)) yield stored
    }
    for (const [sessionId, changed] of changes) {
      if (changed !== undefined && this.#table.find(sessionId) === undefined) yield changed
    }
  }
}
