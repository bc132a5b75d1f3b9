import type { Session } from './sessions/session.ts'
import type { LockOptions, SessionLock, SessionStore } from './sessions/store.ts'
import type { TurnLease } from './turn-lease.ts'

/** A session whose lock a queue holds for those of its own who still wait. */
interface Held {
  readonly sessionId: string
  readonly lock: SessionLock
}

/** Those who wait for one session, and the one whose turn it is. */
interface Queue {
  readonly sessionId: string
  members: number
  /** Whose session it was, once that is about to end. */
  person?: string
  /** The sessions that it moved on to; the last one is what its turns work on. */
  held: Held[]
}

/** A place in the queue of a session whose turn has come. */
export interface Place {
  /** What the turn works on: the session asked for, or the one that the queue has moved on to. */
  readonly sessionId: string
  /** That session as it was when its lock was given, once: whoever asks later has to look. */
  takeSession (): Session | undefined
  /** What the turn is to run under; see `SessionLock.lease`. */
  readonly lease: TurnLease | undefined
  /** Takes the queue over to another session, once its lock is free: those who wait in it come before those who wait for that session. */
  moveTo (sessionId: string, options?: LockOptions): Promise<void>
  /** Says that the person's session ends now: `findEnded` finds the queue for as long as others wait in it. */
  announceEnd (person: string): void
  /** Lets the next one in; see `SessionLock.release`. */
  release (wasInterrupted?: boolean): Promise<void>
}

/**
 * The queues of sessions, which outlive them.
 *
 * *Promise.* Who waits for a session that ends keeps the place: when the queue moves on to another session, nobody who asks for that one comes in
 * between, and nobody is counted a second time. Where other replicas wait for the same sessions, each turn moves on for itself, and holds the other
 * session for as long as it takes: a queue that held it for all of its own would wait for others who wait for it.
 *
 * *Not promised.* That a queue moves by itself: a turn that finds its session gone takes it over to the next one. That nobody comes in between at
 * another replica.
 */
export class SessionQueues {
  readonly #store: Pick<SessionStore, 'lock'>
  readonly #queues = new Map<string, Queue>()
  readonly #ended = new Map<string, Queue>()
  #waitingCount = 0

  constructor (store: Pick<SessionStore, 'lock'>) {
    this.#store = store
  }

  /** Who waits in all queues. */
  get waitingCount (): number {
    return this.#waitingCount
  }

  /** The session of a person that ended, and that others still wait for; `hasMoved`: they wait for another one by now. */
  findEnded (person: string): { readonly sessionId: string, readonly hasMoved: boolean } | undefined {
    const queue = this.#ended.get(person)
    return queue === undefined ? undefined : { sessionId: queue.sessionId, hasMoved: queue.held.length > 0 }
  }

  /** Joins the queue at once, and resolves when the turn has come. Throws what the store's `lock` throws. */
  async enter (sessionId: string, options?: LockOptions): Promise<Place> {
    const queue = this.#queues.get(sessionId) ?? { sessionId, members: 0, held: [] }
    this.#queues.set(sessionId, queue)
    queue.members++
    this.#waitingCount++
    try {
      return this.#hold(queue, await this.#store.lock(sessionId, options))
    } catch (error) {
      this.#leave(queue)
      throw error
    } finally {
      this.#waitingCount--
    }
  }

  #hold (queue: Queue, lock: SessionLock): Place {
    const store = this.#store
    const own: Held[] = []
    const held = (): Held[] => lock.lease === undefined ? queue.held : own
    const latest = (): SessionLock => held().at(-1)?.lock ?? lock
    let fresh: Session | undefined = held().length === 0 ? lock.session : undefined
    return {
      get sessionId () { return held().at(-1)?.sessionId ?? queue.sessionId },
      get lease () { return latest().lease },
      takeSession: () => {
        const taken = fresh
        fresh = undefined
        return taken
      },
      moveTo: async (sessionId, options) => {
        // Back to one that it holds, where the next one could not be made after all: it would wait for itself.
        const known = sessionId === queue.sessionId ? lock : held().find(held => held.sessionId === sessionId)?.lock
        const next = known === undefined ? await store.lock(sessionId, options) : { ...known, release: async () => {} }
        held().push({ sessionId, lock: next })
        fresh = known === undefined ? next.session : undefined
      },
      announceEnd: person => {
        queue.person = person
        this.#ended.set(person, queue)
      },
      release: async wasInterrupted => {
        const { lease } = latest()
        const locks = [...own.splice(0).map(({ lock }) => lock), lock]
        await Promise.all([...this.#leave(queue), ...locks.map(each => each.release(wasInterrupted === true && each.lease === lease))])
      }
    }
  }

  #leave (queue: Queue): Array<Promise<void>> {
    queue.members--
    if (queue.members > 0) return []
    const released: Array<Promise<void>> = []
    this.#queues.delete(queue.sessionId)
    if (queue.person !== undefined && this.#ended.get(queue.person) === queue) this.#ended.delete(queue.person)
    for (let next = queue.held.shift(); next !== undefined; next = queue.held.shift()) {
      const waiting = this.#queues.get(next.sessionId)
      // A session on the way, ended by now: who waits for it comes before who waits for the one after it.
      if (waiting !== undefined && queue.held.length > 0) waiting.held = queue.held.splice(0)
      released.push(next.lock.release())
    }
    return released
  }
}
