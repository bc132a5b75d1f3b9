import { ServiceError } from '../errors.ts'
import type { SessionTable } from './memory.ts'
import { MultiMap } from './multi-map.ts'
import { compareActivity } from './order.ts'
import type { Session } from './session.ts'

/** A session that is new or other than in the table, and what a store makes of it to save it. */
export interface Changed<Row> {
  readonly session: Session
  readonly row: Row
}

/**
 * What a group of changes makes of the table, laid over it: the changes of the group see each other, readers of the table see none of them
 * until `apply`. The table must not change meanwhile.
 */
export class Changes<Row> {
  readonly #table: SessionTable
  readonly #prepare: (session: Session) => Row
  readonly #changed = new Map<string, Changed<Row> | undefined>()
  readonly #byUser = new MultiMap()

  /** @param prepare Makes what a session is saved as; throws to refuse one that cannot be saved. */
  constructor (table: SessionTable, prepare: (session: Session) => Row) {
    this.#table = table
    this.#prepare = prepare
  }

  /** By id; undefined is a removal. */
  get changed (): ReadonlyMap<string, Changed<Row> | undefined> {
    return this.#changed
  }

  get size (): number {
    return this.#changed.size
  }

  get (sessionId: string): Session | undefined {
    const session = this.#getStored(sessionId)
    return session !== undefined && this.#table.isLive(session) ? session : undefined
  }

  /** @throws ServiceError REQUEST_INVALID if the id is taken, by an expired session too. */
  add (session: Session): void {
    if (this.#getStored(session.sessionId) !== undefined) {
      throw new ServiceError('REQUEST_INVALID', { message: 'session_id is taken' })
    }
    this.#put(session)
  }

  /** @throws ServiceError SESSION_NOT_FOUND. */
  update (sessionId: string, change: (session: Session) => Session): Session {
    const session = this.get(sessionId)
    if (session === undefined) throw new ServiceError('SESSION_NOT_FOUND')
    const changed = change(session)
    if (changed === session) return session
    if (changed.sessionId !== sessionId) throw new TypeError('A change must keep the sessionId')
    this.#put(changed)
    return changed
  }

  remove (sessionId: string): Session | undefined {
    const session = this.get(sessionId)
    if (session !== undefined) this.#changed.set(sessionId, undefined)
    return session
  }

  /** The most recently active session of this person on this platform. */
  findLatest (userId: string, platform: string): Session | undefined {
    const untouched = this.#table.findByUser(userId, platform).filter(({ sessionId }) => !this.#changed.has(sessionId))
    const touched = [...this.#byUser.get(userId)]
      .map((id) => this.#changed.get(id)?.session)
      .filter((session) => session !== undefined)
      .filter((session) => session.userId === userId && session.platform === platform && this.#table.isLive(session))
    return [...untouched, ...touched].sort((a, b) => compareActivity(b, a))[0]
  }

  /** Removes at most `limit` sessions whose last activity is before the cut-off, save those whose lock is held. */
  removeSilentSince (cutoffMs: number, limit: number): Session[] {
    const removed: Session[] = []
    const remove = (session: Session): void => {
      const isSilent = session.lastActivityMs < cutoffMs && !this.#table.isHeld(session.sessionId)
      if (isSilent && removed.length < limit) removed.push(session)
    }
    for (const session of this.#table.silentSince(cutoffMs)) {
      if (removed.length === limit) break
      if (!this.#changed.has(session.sessionId)) remove(session)
    }
    for (const changed of this.#changed.values()) if (changed !== undefined) remove(changed.session)
    for (const { sessionId } of removed) this.#changed.set(sessionId, undefined)
    return removed
  }

  /** Makes the table what was laid over it. */
  apply (): void {
    for (const [sessionId, changed] of this.#changed) {
      if (changed === undefined) this.#table.remove(sessionId)
      else this.#table.put(changed.session)
    }
  }

  #getStored (sessionId: string): Session | undefined {
    return this.#changed.has(sessionId) ? this.#changed.get(sessionId)?.session : this.#table.getStored(sessionId)
  }

  #put (session: Session): void {
    this.#changed.set(session.sessionId, { session, row: this.#prepare(session) })
    this.#byUser.add(session.userId, session.sessionId)
  }
}
