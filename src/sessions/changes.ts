import { ServiceError } from '../errors.ts'
import type { SessionTable, StoredSession } from './memory.ts'
import { compareActivity } from './order.ts'
import type { Session } from './session.ts'

/** How sessions are saved. */
export interface RowForm<Row> {
  /** Makes what a session is saved as, perhaps from what it was saved as before; throws to refuse one that cannot be saved. */
  prepare (session: Session, before: StoredSession<Row> | undefined): Row
  /** How much there is to write, roughly in bytes. */
  weigh (row: Row): number
}

/**
 * What a group of changes makes of the sessions, laid over them: the changes of the group see each other, readers of the table see none of them
 * until `apply`. The table must not change meanwhile.
 */
export class Changes<Row> {
  readonly #table: SessionTable<Row>
  readonly #form: RowForm<Row>
  readonly #changed = new Map<string, StoredSession<Row> | undefined>()
  #weight = 0

  constructor (table: SessionTable<Row>, form: RowForm<Row>) {
    this.#table = table
    this.#form = form
  }

  /** By id; undefined is a removal. */
  get changed (): ReadonlyMap<string, StoredSession<Row> | undefined> {
    return this.#changed
  }

  get size (): number {
    return this.#changed.size
  }

  /** Of all rows that were prepared. */
  get weight (): number {
    return this.#weight
  }

  /** @throws ServiceError REQUEST_INVALID if the id is taken, by an expired session too. */
  add (session: Session): void {
    if (this.#find(session.sessionId) !== undefined) {
      throw new ServiceError('REQUEST_INVALID', { message: 'session_id is taken' })
    }
    this.#put(session, undefined)
  }

  /** @throws ServiceError SESSION_NOT_FOUND. */
  update (sessionId: string, change: (session: Session) => Session): Session {
    const before = this.#findLive(sessionId)
    if (before === undefined) throw new ServiceError('SESSION_NOT_FOUND')
    const changed = change(before.session)
    if (changed === before.session) return changed
    if (changed.sessionId !== sessionId) throw new TypeError('A change must keep the sessionId')
    this.#put(changed, before)
    return changed
  }

  remove (sessionId: string): Session | undefined {
    const session = this.#findLive(sessionId)?.session
    if (session !== undefined) this.#changed.set(sessionId, undefined)
    return session
  }

  /** The most recently active session of this person on this platform. */
  findLatest (userId: string, platform: string): Session | undefined {
    const found = this.#table.findByUser(userId, platform).filter(({ sessionId }) => !this.#changed.has(sessionId))
    // A group is small, and an index of it would cost every change.
    for (const changed of this.#changed.values()) {
      const session = changed?.session
      if (session?.userId === userId && session.platform === platform && this.#table.isLive(session)) found.push(session)
    }
    return found.sort((a, b) => compareActivity(b, a))[0]
  }

  /** Removes at most `limit` sessions whose last activity is before the cut-off, save those whose lock is held. */
  removeSilentSince (cutoffMs: number, limit: number): Session[] {
    const removed: Session[] = []
    for (const session of this.#walkSilent(cutoffMs)) {
      if (removed.length === limit) break
      if (!this.#table.isHeld(session.sessionId)) removed.push(session)
    }
    for (const { sessionId } of removed) this.#changed.set(sessionId, undefined)
    return removed
  }

  /** Makes the table what was laid over it. */
  apply (): void {
    for (const [sessionId, changed] of this.#changed) {
      if (changed === undefined) this.#table.remove(sessionId)
      else this.#table.put(changed.session, changed.row)
    }
  }

  #find (sessionId: string): StoredSession<Row> | undefined {
    const changed = this.#changed.get(sessionId)
    return changed !== undefined || this.#changed.has(sessionId) ? changed : this.#table.find(sessionId)
  }

  #findLive (sessionId: string): StoredSession<Row> | undefined {
    const found = this.#find(sessionId)
    return found !== undefined && this.#table.isLive(found.session) ? found : undefined
  }

  * #walkSilent (cutoffMs: number): Generator<Session> {
    for (const session of this.#table.silentSince(cutoffMs)) if (!this.#changed.has(session.sessionId)) yield session
    for (const changed of this.#changed.values()) if (changed !== undefined && changed.session.lastActivityMs < cutoffMs) yield changed.session
  }

  #put (session: Session, before: StoredSession<Row> | undefined): void {
    const row = this.#form.prepare(session, before)
    this.#changed.set(session.sessionId, { session, row })
    this.#weight += this.#form.weigh(row)
  }
}
