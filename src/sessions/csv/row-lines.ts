import { setImmediate as nextTurn } from 'node:timers/promises'
import { ServiceError } from '../../errors.ts'
import type { Session } from '../session.ts'
import { formatRows, ROWS_PER_TURN } from './codec.ts'
import { COLUMNS } from './header.ts'
import { checkSession, formatCells, RowError } from './row.ts'

/** Joined and handed to the disk at once: small enough to take well under a millisecond. */
const CHUNK_LENGTH = 64 * 1024

/** The line of each session, formatted once: a rewrite of the file joins strings. */
export class RowLines {
  readonly #extraColumns: readonly string[]
  #header = ''
  /** By identity, since a session never changes in place. */
  readonly #lines = new WeakMap<Session, string>()

  /** @param extraColumns Columns that the service does not know, written behind its own. */
  constructor (extraColumns: readonly string[]) {
    this.#extraColumns = extraColumns
  }

  /**
   * Refuses a session that has no line in the file.
   *
   * @throws ServiceError REQUEST_INVALID, saying why; a TypeError if its metadata or approval has no JSON form.
   */
  check (session: Session): void {
    try {
      checkSession(session, this.#extraColumns)
    } catch (cause) {
      if (cause instanceof RowError) throw new ServiceError('REQUEST_INVALID', { message: cause.message, cause })
      throw cause
    }
    formatCells(session, this.#extraColumns)
  }

  /** Formats the header and the lines of these sessions; the others must have been formatted before. */
  async format (sessions: readonly Session[]): Promise<void> {
    if (this.#header === '') [this.#header = ''] = await formatRows([[...COLUMNS, ...this.#extraColumns]])
    for (let start = 0; start < sessions.length; start += ROWS_PER_TURN) {
      const slice = sessions.slice(start, start + ROWS_PER_TURN)
      const lines = await formatRows(slice.map((session) => formatCells(session, this.#extraColumns)))
      for (const [index, session] of slice.entries()) this.#lines.set(session, lines[index] ?? '')
      if (sessions.length > ROWS_PER_TURN) await nextTurn()
    }
  }

  /** The bytes of a file with these sessions, in slices. */
  * chunks (sessions: Iterable<Session>): Generator<Buffer> {
    let slice = [this.#header]
    let length = 0
    for (const session of sessions) {
      const line = this.#lines.get(session)
      if (line === undefined) throw new TypeError('A session has not been formatted')
      slice.push(line)
      length += line.length
      if (length < CHUNK_LENGTH) continue
      yield join(slice)
      slice = []
      length = 0
    }
    if (slice.length > 0) yield join(slice)
  }
}

function join (lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join('\n')}\n`)
}
