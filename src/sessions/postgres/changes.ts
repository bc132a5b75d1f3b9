import { ServiceError } from '../../errors.ts'
import type { KeptSession } from '../kept-session.ts'
import type { Session } from '../session.ts'
import { Lanes } from '../lanes.ts'
import type { SessionReads } from './reads.ts'
import type { SessionWrites } from './writes.ts'

/** What changes are made with. */
export interface SessionChangesOptions {
  readonly reads: SessionReads
  readonly writes: SessionWrites
  /** Since when a session must have been active to be there. */
  readonly cutoffMs: () => number
}

/**
 * Changes of sessions, those of one session one after another: each is made to what is there, and made again to what is there then if another replica
 * was faster.
 */
export class SessionChanges {
  readonly #options: SessionChangesOptions
  readonly #lanes = new Lanes()
  /** As they were last known, of the sessions whose turns run here: nearly always that is how they are. */
  readonly #held = new Map<string, KeptSession>()

  constructor (options: SessionChangesOptions) {
    this.#options = options
  }

  /** A turn of the session runs here, which was this when the turn came. */
  hold (stored: KeptSession): void {
    this.#held.set(stored.session.sessionId, stored)
  }

  letGo (sessionId: string): void {
    this.#held.delete(sessionId)
  }

  /** Resolves when all changes that were asked for until now have ended. */
  async settle (): Promise<void> {
    await this.#lanes.settle()
  }

  async create (session: Session): Promise<void> {
    await this.#lanes.run(session.sessionId, async () => {
      if (!await this.#options.writes.insert(session)) throw refuseId()
    })
  }

  async continueOrCreate (userId: string, platform: string, create: () => Session): Promise<{ session: Session, isNew: boolean }> {
    const { reads, writes, cutoffMs } = this.#options
    return await this.#lanes.run(`${platform} ${userId}`, async () => {
      const latest = await reads.findLatest([userId], platform)
      if (latest !== undefined) return { session: latest, isNew: false }
      const made = create()
      const session = await writes.continueOrAdd(made, cutoffMs())
      if (session === undefined) throw refuseId()
      return session.sessionId === made.sessionId ? { session: made, isNew: true } : { session, isNew: false }
    })
  }

  async update (sessionId: string, change: (session: Session) => Session): Promise<Session> {
    return await this.#lanes.run(sessionId, async () => {
      const held = this.#held.get(sessionId)
      const made = held === undefined ? undefined : await this.#changeHeld(held, change)
      if (made !== undefined) return made
      for (;;) {
        const before = await this.#options.reads.find(sessionId)
        if (before === undefined) throw new ServiceError('SESSION_NOT_FOUND')
        const after = applyChange(before.session, change)
        if (after === before.session || await this.#replace(before, after)) return after
      }
    })
  }

  async remove (sessionId: string): Promise<Session | undefined> {
    const { reads, writes } = this.#options
    return await this.#lanes.run(sessionId, async () => {
      for (let known = this.#held.get(sessionId); ; known = undefined) {
        const before = known ?? await reads.find(sessionId)
        if (before === undefined) return undefined
        const isRemoved = await writes.remove(before)
        this.#held.delete(sessionId)
        if (isRemoved) return before.session
      }
    })
  }

  async removeSilentSince (cutoffMs: number, limit: number): Promise<Session[]> {
    // What was asked for before is done before.
    const earlier = this.#lanes.settle()
    return await this.#lanes.run('the sweep', async () => {
      await earlier
      return await this.#options.writes.removeSilent(cutoffMs, limit)
    })
  }

  async bringToNow (nowMs: number, limit: number): Promise<number> {
    return await this.#options.writes.bringToNow(nowMs, limit)
  }

  /** Made to the session as it was last known; undefined if it is not that any more, or if the change has to see it as it is. */
  async #changeHeld (held: KeptSession, change: (session: Session) => Session): Promise<Session | undefined> {
    let after: Session
    try {
      after = applyChange(held.session, change)
    } catch {
      // A refusal is for what is there.
      return undefined
    }
    return after !== held.session && await this.#replace(held, after) ? after : undefined
  }

  async #replace (before: KeptSession, after: Session): Promise<boolean> {
    const { sessionId } = after
    const made = await this.#options.writes.replace(before, after)
    if (this.#held.has(sessionId) && made !== undefined) this.#held.set(sessionId, made)
    return made !== undefined
  }
}

function applyChange (session: Session, change: (session: Session) => Session): Session {
  const changed = change(session)
  if (changed.sessionId !== session.sessionId) throw new TypeError('A change must keep the sessionId')
  return changed
}

function refuseId (): ServiceError {
  return new ServiceError('REQUEST_INVALID', { message: 'session_id is taken' })
}
