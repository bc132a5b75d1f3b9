import { ServiceError } from './errors.ts'
import { describePerson } from './person.ts'
import { checkOwner, findLatest, getSession, type NamedClaim } from './session-search.ts'
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
  /** What there was when it came, before any wait. */
  readonly seen: Session | undefined
  readonly place: Promise<Place>
}

/**
 * How messages come to the queues of sessions.
 *
 * *Promise.* Of one person, who came first finds, or makes, the session first, and joins its queue first; those who wait for a session that ends are
 * not overtaken by those who come after its end. What is looked for is looked for once, unless others of the same person come at the same time.
 *
 * *Not promised.* Any order between those who come to different replicas, beyond that of the places that they got.
 */
export class Arrivals {
  readonly #options: ArrivalsOptions
  readonly #queues: SessionQueues
  /** By person. */
  readonly #finding = new TurnLocks()
  /** By the id of a session. */
  readonly #naming = new TurnLocks()

  constructor (options: ArrivalsOptions) {
    this.#options = options
    this.#queues = new SessionQueues(options.store)
  }

  /** Who waits in all queues. */
  get waitingCount (): number {
    return this.#queues.waitingCount
  }

  /** Joins the queue of the session that a message is for, made if there is none. Throws SESSION_NOT_FOUND, APPROVAL_NOT_PENDING. */
  async join ({ sessionId, ...request }: ChatRequest, options: LockOptions): Promise<Arrival> {
    if (sessionId !== undefined) return await this.joinNamed({ ...request, sessionId }, options)
    const { store } = this.#options
    const person = describePerson(request)
    // Others of the person's may still make the session: what there was for this one is to be seen now.
    const seen = this.#finding.isHeld(person) ? findLatest(store, request) : undefined
    seen?.catch(() => {})
    const finding = await this.#finding.lock(person)
    try {
      const found = await findLatest(store, request)
      const known = { session: found, seen: seen === undefined ? found : await seen }
      const ended = this.#queues.findEnded(person)
      // Those who wait are to come to another session of the person's first.
      if (ended !== undefined && (found === undefined || !ended.hasMoved)) return { ...known, place: this.enter(ended.sessionId, options) }
      const session = found ?? await this.#make(request)
      return { ...known, session, place: this.enter(session.sessionId, options) }
    } finally {
      finding.release()
    }
  }

  /** Joins the queue of the session that a request names. Throws SESSION_NOT_FOUND. */
  async joinNamed (claim: NamedClaim, options: LockOptions): Promise<Arrival> {
    const { sessionId } = claim
    const naming = await this.#naming.lock(sessionId)
    try {
      const session = claim.found ?? await getSession(this.#options.store, sessionId)
      checkOwner(session, claim)
      return { session, seen: session, place: this.enter(sessionId, options) }
    } finally {
      naming.release()
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
        const next = await findLatest(this.#options.store, request) ?? await this.#make(request)
        moved = place.moveTo(next.sessionId, options)
      } finally {
        finding.release()
      }
      // Not under the person's lock: who holds that session may need it, to move on.
      await moved
    }
  }

  async #make ({ userId, platform = inferPlatform(userId), approvalId }: Pick<ChatRequest, 'userId' | 'platform' | 'approvalId'>): Promise<Session> {
    if (approvalId !== undefined) throw new ServiceError('APPROVAL_NOT_PENDING')
    const owner = normaliseUserId(userId, platform)
    const create = () => createSession({ ...this.#options, userId: owner, platform })
    return (await this.#options.store.continueOrCreate(owner, platform, create)).session
  }
}
