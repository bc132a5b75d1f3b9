import { ServiceError } from '../../errors.ts'
import type { RowForm } from '../changes.ts'
import type { StoredSession } from '../memory.ts'
import type { Session } from '../session.ts'
import { createRowFormatter } from './codec.ts'
import { COLUMNS } from './header.ts'
import { checkSession, formatCells, RowError } from './row.ts'
import { formatTime, isTime } from './time.ts'

/**
 * A session's line in the file, without the time of its last activity: most changes change nothing else, and then both parts stay as they are.
 */
export interface RowText {
  readonly head: string
  readonly tail: string
}

/** Cells before the last activity; none of those is ever quoted, save the user's. */
const CELLS_BEFORE = COLUMNS.indexOf('last_activity')
const TIME_LENGTH = formatTime(0).length

/** The line of a session, without its end. */
export function formatLine ({ session, row: { head, tail } }: StoredSession<RowText>): string {
  return head + formatTime(session.lastActivityMs) + tail
}

/** The bytes of a session's line. */
export function measureLine ({ row: { head, tail } }: StoredSession<RowText>): number {
  return Buffer.byteLength(head) + TIME_LENGTH + Buffer.byteLength(tail)
}

/** Makes what the sessions of one file are written as. */
export class RowFormatter implements RowForm<RowText> {
  readonly #extraColumns: readonly string[]
  readonly #formatRow = createRowFormatter()
  /** The first line of the file. */
  readonly header: string

  /** @param extraColumns Columns that the service does not know, written behind its own. */
  constructor (extraColumns: readonly string[]) {
    this.#extraColumns = extraColumns
    this.header = this.#formatRow([...COLUMNS, ...extraColumns])
  }

  /** The columns of the file, in their order. */
  get columns (): readonly string[] {
    return [...COLUMNS, ...this.#extraColumns]
  }

  /**
   * The line of a session.
   *
   * @param before The session as it was, if only a part of it may have changed.
   * @throws ServiceError REQUEST_INVALID if it could not be read back, saying why; a TypeError if its metadata or approval has no JSON form.
   */
  prepare (session: Session, before?: StoredSession<RowText>): RowText {
    if (before !== undefined && isSameButForActivity(session, before.session) && isTime(session.lastActivityMs)) return before.row
    try {
      checkSession(session, this.#extraColumns)
    } catch (cause) {
      if (cause instanceof RowError) throw new ServiceError('REQUEST_INVALID', { message: cause.message, cause })
      throw cause
    }
    const cells = formatCells(session, this.#extraColumns)
    const head = this.#formatRow(cells.slice(0, CELLS_BEFORE))
    const tail = this.#formatRow(cells.slice(CELLS_BEFORE + 1))
    return { head: `${head},`, tail: `,${tail}` }
  }

  weigh ({ head, tail }: RowText): number {
    return head.length + TIME_LENGTH + tail.length
  }
}

/** Parts a line that `readOwnRow` can read. */
export function cutOwnLine (line: string): RowText {
  let place = 0
  for (let cells = 0; cells < CELLS_BEFORE; cells++) place = line.indexOf(',', place) + 1
  return { head: line.slice(0, place), tail: line.slice(place + TIME_LENGTH) }
}

/** What a session holds never changes in place, so the same object is the same text. */
function isSameButForActivity (a: Session, b: Session): boolean {
  return a.sessionId === b.sessionId && a.userId === b.userId && a.platform === b.platform && a.threadId === b.threadId &&
    a.createdAtMs === b.createdAtMs && a.pendingApproval === b.pendingApproval && a.metadata === b.metadata && a.extra === b.extra
}
