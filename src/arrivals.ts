import { ServiceError } from './errors.ts'
import { describePerson } from './person.ts'
import { findSession } from './session-search.ts'
import { SessionQueues, type Place } from './session-queue.ts'
import { createSession, type Session } from './sessions/session.ts'
import type { LockOptions, SessionStore } from './sessions/store.ts'
import { TurnLocks } from './sessions/turn-lock.ts'
import { inferPlatform, normaliseUserId } from './sessions/user-id.ts'
import type { ChatRequest } from './turn-request.ts'

/** What is needed to find a session, or to make one. */
export interface ArrivalsOptions {
  readonly store: SessionStore
  readonly now: () => number
  readonly newId: () => string
}

/** A request that waits for its turn. */
export interface Arrival {
  /** The session that it found, if any; where one has ended and others wait for the next one, the turn may come to another. */
  readonly session: Session | undefined
  readonly place: Promise<Place>
}

/**
 * How messages come to the queues of sessions.
 *
 * *Promise.* Of one person, who came first finds, or makes, the session first, and joins its queue first; those who wait for a session that ends are
 * not overtaken by those who come after its end.
 */
export class Arrivals {
  readonly #options: ArrivalsOptions
  readonly #queues: SessionQueues
  /** By person. */
  readonly #finding = new TurnLocks()

  constructor (options: ArrivalsOptions) {
    this.#options = options
    this.#queues = new SessionQueues(options.store)
  }

  /** Who waits in all queues. */
  get waitingCount (): number {
    return this.#queues.waitingCount
  }

  /** Joins the queue of the session that a message is for, made if there is none. Throws SESSION_NOT_FOUND, APPROVAL_NOT_PENDING. */
  async join (request: ChatRequest, options: LockOptions): Promise<Arrival> {
    if (request.sessionId !== undefined) {
      const session = await findSession(this.#options.store, request)
      if (session === undefined) throw new ServiceError('SESSION_NOT_FOUND')
      return { session, place: this.enter(session.sessionId, options) }
    }
    const person = describePerson(request)
    const finding = await this.#finding.lock(person)
    try {
      const found = await findSession(this.#options.store, request)
      const ended = this.#queues.findEnded(person)
      // Those who wait are to come to another session of the person's first.
      if (ended !== undefined && (found === undefined || !ended.hasMoved)) return { session: found, place: this.enter(ended.sessionId, options) }
      const session = found ?? await this.#make(request)
      return { session, place: this.enter(session.sessionId, options) }
    } finally {
      finding.release()
    }
  }

  /** Joins the queue of a session, at once. */
  async enter (sessionId: string, options: LockOptions): Promise<Place> {
    return await this.#queues.enter(sessionId, options)
  }

  /** A session is about to be removed: those who wait for it come before those who come from now on. */
  announceEnd (session: Session, place: Place): void {
    place.announceEnd(describePerson(session))
  }

  /** The session that a queue works on; where that has ended, it moves on to the person's next one, made if there is none. */
  async find (place: Place, request: ChatRequest, options: LockOptions): Promise<Session> {
    for (;;) {
      const session = place.takeSession() ?? await this.#options.store.get(place.sessionId)
      if (session !== undefined) return session
      const person = describePerson(request)
      const finding = await this.#finding.lock(person)
      let moved: Promise<void>
      try {
        const next = await findSession(this.#options.store, request) ?? await this.#make(request)
        moved = place.moveTo(next.sessionId, options)
      } finally {
        finding.release()
      }
      // Not under the person's lock: who holds that session may need it, to move on.
      await moved
    }
  }

  async #make ({ userId, platform = inferPlatform(userId), approvalId }: ChatRequest): Promise<Session> {
    if (approvalId !== undefined) throw new ServiceError('APPROVAL_NOT_PENDING')
    const owner = normaliseUserId(userId, platform)
    const create = () => createSession({ ...this.#options, userId: owner, platform })
    return (await this.#options.store.continueOrCreate(owner, platform, create)).session
  }
}
