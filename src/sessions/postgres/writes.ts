import { randomUUID } from 'node:crypto'
import type { PostgresPool } from '../../postgres/pool.ts'
import { currentLease } from '../../turn-lease.ts'
import { formatKept, type KeptSession } from '../kept-session.ts'
import type { Session } from '../session.ts'
import type { StoreObserver } from '../store.ts'
import { sendAgain } from './reads.ts'
import { refuseSession } from './refusal.ts'
import { listValues, parseRow } from './row.ts'
import { BRING_TO_NOW, CONTINUE_OR_ADD, DELETE, FIND_WRITE, INSERT, REMOVE_SILENT, REPLACE } from './statements.ts'

/** What is written with. */
export interface SessionWritesOptions {
  readonly pool: Pick<PostgresPool, 'query'>
  readonly observer: StoreObserver
}

/**
 * Changes of the table of sessions, each one query.
 *
 * *Promise.* Under a lease a change is made only if the lease is good, in one step with the check of it; each change is made once: one that a broken
 * connection cut off is sent again under the same name, which tells whether it was made before.
 *
 * *Not promised.* That a change which is refused was not made, where the server cannot be reached again after it was sent.
 */
export class SessionWrites {
  readonly #options: SessionWritesOptions

  constructor (options: SessionWritesOptions) {
    this.#options = options
  }

  /** False if the id is taken. */
  async insert (session: Session): Promise<boolean> {
    const write = randomUUID()
    const values = [...listValues(formatKept(session, undefined)), write, leaseId()]
    return await this.#change(async () => {
      const { rows, wasCutOff } = await sendAgain(this.#options.pool, INSERT, values)
      if (rows.length > 0) return true
      return wasCutOff && (await this.#findWrite(session.sessionId))?.last_write === write
    })
  }

  /** Puts a session in the place of what it was; undefined if it is not that any more. */
  async replace (before: KeptSession, after: Session): Promise<KeptSession | undefined> {
    const texts = formatKept(after, before)
    const write = randomUUID()
    const made = { session: after, revision: before.revision + 1, texts }
    return await this.#change(async () => {
      const { rows, wasCutOff } = await sendAgain(this.#options.pool, REPLACE, [...listValues(texts), write, leaseId(), before.revision])
      if (rows.length > 0) return made
      if (!wasCutOff) return undefined
      const found = await this.#findWrite(after.sessionId)
      if (found?.last_write === write) return made
      // Ours may have been the first of the changes in between: to make it once more could make it twice.
      if (found !== undefined && found.revision > made.revision) throw new Error('A connection broke under a change, and others have followed it')
      return undefined
    })
  }

  /** False if the session is not that any more. */
  async remove ({ session: { sessionId }, revision }: KeptSession): Promise<boolean> {
    return await this.#change(async () => {
      const { rows, wasCutOff } = await sendAgain(this.#options.pool, DELETE, [sessionId, revision, leaseId()])
      return rows.length > 0 || (wasCutOff && await this.#findWrite(sessionId) === undefined)
    })
  }

  /** Adds a session unless one of its person and platform has been active since; the one that is there then. Undefined if the id is taken. */
  async continueOrAdd (session: Session, cutoffMs: number): Promise<Session | undefined> {
    const values = [...listValues(formatKept(session, undefined)), randomUUID(), leaseId(), cutoffMs]
    return await this.#change(async () => {
      const { rows: [row] } = await sendAgain(this.#options.pool, CONTINUE_OR_ADD, values)
      return row === undefined ? undefined : parseRow(row).session
    })
  }

  /** What is being changed at this moment becomes active in that change. */
  async bringToNow (nowMs: number, limit: number): Promise<number> {
    return await this.#change(async () => (await sendAgain(this.#options.pool, BRING_TO_NOW, [nowMs, limit])).rows.length)
  }

  /** Removes what was silent, longest silent first. What a broken connection cuts off is not sent again: what was removed would not be told. */
  async removeSilent (cutoffMs: number, limit: number): Promise<Session[]> {
    return await this.#change(async () => {
      const rows = await this.#options.pool.query(REMOVE_SILENT, [cutoffMs, limit])
      return rows.map(row => parseRow(row).session)
    })
  }

  async #findWrite (sessionId: string): Promise<{ revision: number, last_write: string | null } | undefined> {
    return (await sendAgain<{ revision: number, last_write: string | null }>(this.#options.pool, FIND_WRITE, [sessionId])).rows[0]
  }

  async #change<T> (run: () => Promise<T>): Promise<T> {
    const startedMs = performance.now()
    try {
      const result = await run()
      this.#options.observer.saved(1, performance.now() - startedMs)
      return result
    } catch (error) {
      this.#options.observer.refused(1)
      throw refuseSession(error)
    }
  }
}

/** Of the turn in which a change is made. */
function leaseId (): string | null {
  return currentLease()?.id ?? null
}
