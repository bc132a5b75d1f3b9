import { ServiceError } from '../../errors.ts'
import { formatKept, type KeptSession } from '../kept-session.ts'
import { Lanes } from '../lanes.ts'
import type { Session } from '../session.ts'
import { ADD, BRING_TO_NOW, CONTINUE_OR_ADD, REMOVE, REMOVE_SILENT, REPLACE } from './changes.ts'
import { listValues } from './row.ts'
import { listSessions, type SessionScripts } from './scripts.ts'
import type { SessionReads } from './session-reads.ts'

/** Sessions that one script removes: others wait for a millisecond. */
const PART = 100

/** What changes are made with. */
export interface SessionChangesOptions {
  readonly scripts: SessionScripts
  readonly reads: SessionReads
  readonly cutoffMs: () => number
  /** After which Redis itself drops a session that nobody removed. */
  readonly ttlMs: number
}

/** Changes of the sessions in Redis: each is one script, and one round trip where the session is known. */
export class SessionChanges {
  readonly #options: SessionChangesOptions
  readonly #lanes = new Lanes()
  /** Sessions as they were last seen, of those whose turn is held here: hardly anybody else changes them. */
  readonly #known = new Map<string, KeptSession>()

  constructor (options: SessionChangesOptions) {
    this.#options = options
  }

  /** Remembers a session while its turn is held. */
  know (sessionId: string, kept: KeptSession): void {
    this.#known.set(sessionId, kept)
  }

  forget (sessionId: string): void {
    this.#known.delete(sessionId)
  }

  /** Resolves when all changes that were begun until now have ended. */
  async settle (): Promise<void> {
    await this.#lanes.settle()
  }

  /** Throws REQUEST_INVALID if the id is taken. */
  async add (session: Session): Promise<void> {
    await this.#lanes.run(session.sessionId, async () => {
      const { scripts, ttlMs } = this.#options
      const { answer } = await scripts.write(ADD, ttlMs, ...listValues(formatKept(session, undefined)))
      if (answer !== 1) throw refuseTaken()
    })
  }

  /** Adds a session unless one of its person on its platform is there. */
  async continueOrAdd (session: Session): Promise<{ readonly session: Session, readonly isNew: boolean }> {
    return await this.#lanes.run(session.sessionId, async () => {
      const { scripts, ttlMs, cutoffMs } = this.#options
      const values = listValues(formatKept(session, undefined))
      const { answer } = await scripts.write(CONTINUE_OR_ADD, ttlMs, cutoffMs(), ...values)
      const latest = scripts.parse(answer)
      if (latest !== undefined) return { session: latest.session, isNew: false }
      // One that cannot be read is left out: its person is not to wait until it has expired.
      const isAdded = Array.isArray(answer) ? (await scripts.write(ADD, ttlMs, ...values)).answer === 1 : answer === 1
      if (!isAdded) throw refuseTaken()
      return { session, isNew: true }
    })
  }

  async update (sessionId: string, change: (session: Session) => Session): Promise<Session> {
    return await this.#lanes.run(sessionId, async () => {
      try {
        return await this.#update(sessionId, change)
      } catch (error) {
        this.forget(sessionId)
        throw error
      }
    })
  }

  async remove (sessionId: string): Promise<Session | undefined> {
    return await this.#lanes.run(sessionId, async () => {
      const { scripts, cutoffMs } = this.#options
      this.forget(sessionId)
      return scripts.parse(await scripts.change(REMOVE, cutoffMs(), sessionId))?.session
    })
  }

  async bringToNow (nowMs: number, limit: number): Promise<number> {
    return Number(await this.#options.scripts.change(BRING_TO_NOW, nowMs, limit))
  }

  /** What becomes active in a change that was begun before stays. */
  async removeSilentSince (cutoffMs: number, limit: number): Promise<Session[]> {
    await this.settle()
    const removed: Session[] = []
    while (removed.length < limit) {
      const most = Math.min(PART, limit - removed.length)
      const answer = await this.#options.scripts.change(REMOVE_SILENT, cutoffMs, most)
      removed.push(...listSessions(this.#options.scripts.parseRows(answer)))
      if (!Array.isArray(answer) || answer.length < most) break
    }
    return removed
  }

  async #update (sessionId: string, change: (session: Session) => Session): Promise<Session> {
    let before: Replaced = await this.#updateKnown(sessionId, change) ?? await this.#find(sessionId)
    while (before.isMade !== true) {
      const after = change(before.session)
      if (after === before.session) return after
      before = await this.#replace(before, after)
    }
    return before.session
  }

  /** What is known may be old: that it is not to be changed, or not to be allowed, is for the session to tell as it is now. */
  async #updateKnown (sessionId: string, change: (session: Session) => Session): Promise<Replaced | undefined> {
    const known = this.#known.get(sessionId)
    if (known === undefined) return undefined
    let after: Session
    try {
      after = change(known.session)
    } catch {
      return undefined
    }
    return after === known.session ? undefined : await this.#replace(known, after)
  }

  /** Puts a session in the place of what it was. Resolves to what it is now where that was changed by somebody else. */
  async #replace (before: KeptSession, after: Session): Promise<Replaced> {
    const { scripts, ttlMs, cutoffMs } = this.#options
    const { session: { sessionId }, revision } = before
    if (after.sessionId !== sessionId) throw new TypeError('A change must keep the sessionId')
    const texts = formatKept(after, before)
    const { answer, wasCutOff } = await scripts.write(REPLACE, ttlMs, cutoffMs(), revision, ...listValues(texts))
    if (answer === 1) return { ...this.#note({ session: after, revision: revision + 1, texts }), isMade: true }
    const found = scripts.parse(answer)
    if (found === undefined) throw new ServiceError('SESSION_NOT_FOUND')
    // Ours may have been the first of the changes in between: to make it once more could make it twice.
    if (wasCutOff && found.revision > revision + 1) throw refuseDoubt()
    return this.#note(found)
  }

  async #find (sessionId: string): Promise<KeptSession> {
    const found = await this.#options.reads.find(sessionId)
    if (found === undefined) throw new ServiceError('SESSION_NOT_FOUND')
    return this.#note(found)
  }

  #note (kept: KeptSession): KeptSession {
    const { sessionId } = kept.session
    if (this.#known.has(sessionId)) this.#known.set(sessionId, kept)
    return kept
  }
}

/** A session as it is now: `isMade` where that is what a change made of it. */
type Replaced = KeptSession & { readonly isMade?: true }

function refuseTaken (): ServiceError {
  return new ServiceError('REQUEST_INVALID', { message: 'session_id is taken' })
}

function refuseDoubt (): ServiceError {
  const cause = new Error('The connection was lost during a change of a session, and others have followed it')
  return new ServiceError('STORE_UNAVAILABLE', { cause, retryAfterSeconds: 5 })
}
