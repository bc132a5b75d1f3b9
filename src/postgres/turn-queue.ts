import { randomUUID } from 'node:crypto'
import { Bell } from '../bell.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { LockOptions } from '../sessions/store.ts'
import type { TurnLease } from '../turn-lease.ts'
import { refuseAtEnd, refuseFailure } from '../turn-refusal.ts'
import type { PostgresClock } from './clock.ts'
import type { PostgresEvents } from './events.ts'
import type { PostgresPool } from './pool.ts'
import { TurnDepartures } from './turn-departures.ts'
import { TurnRenewals } from './turn-renewals.ts'
import { TurnStatements } from './turn-statements.ts'
import { TurnTicket, type TurnTicketParts } from './turn-ticket.ts'

/** What turns are queued with. */
export interface PostgresTurnQueueOptions {
  readonly pool: Pick<PostgresPool, 'query'>
  readonly events: Pick<PostgresEvents, 'subscribe' | 'wakeHere'>
  /** Told the server's time with each turn, and with each renewal. */
  readonly clock: Pick<PostgresClock, 'sync'>
  readonly log: Log
  /** How long a lease lasts that nobody renews: so long does the next turn of its session wait when a replica dies. */
  readonly ttlMs?: number
  readonly renewMs?: number
}

/** A turn that has come. */
export interface QueuedTurn {
  readonly lease: TurnLease
  /** The session when the turn came: columns of `holdline.sessions` as texts; undefined if there is none. */
  readonly row: unknown
  /** See `SessionLock.release`. */
  release (wasInterrupted?: boolean): Promise<void>
}

/**
 * The turns of sessions, one at a time over all replicas that share a database.
 *
 * *Promise.* Turns of one session come in the order in which they were asked for. The turn of a replica that dies, or is cut off, ends with its
 * lease. Whoever waits and is cut off for as long is refused with STORE_UNAVAILABLE: to queue again by itself would put a message behind those that
 * came later.
 *
 * *Not promised.* That two turns never overlap where nothing is written: after a crash of the server, or a failover, a replica may not know, until
 * it asks next, that its turn was lost; the same where the server's clock is set forward. `check_lease`, in the transaction of a write, always knows.
 * Set back, it makes others wait longer for the turns of a dead replica.
 */
export class PostgresTurnQueue {
  readonly #parts: TurnTicketParts
  readonly #statements: TurnStatements
  readonly #renewals: TurnRenewals
  readonly #departures: TurnDepartures
  readonly #tickets = new Set<TurnTicket>()
  /** The latest ticket of each session that the server has not answered about: of two statements side by side, either may come first. */
  readonly #asking = new Map<string, TurnTicket>()
  readonly #end = new AbortController()
  #closing: Promise<void> | undefined

  constructor ({ pool, events, clock, log, ttlMs = 10_000, renewMs = ttlMs / 3 }: PostgresTurnQueueOptions) {
    const statements = this.#statements = new TurnStatements(pool, ttlMs)
    const renewals = this.#renewals = new TurnRenewals({ statements, clock, log, everyMs: renewMs })
    const retryMs = renewMs / 4
    const departures = this.#departures = new TurnDepartures({ statements, events, log, ttlMs, retryMs })
    this.#parts = { statements, renewals, departures, events, clock, owner: randomUUID(), ttlMs, retryMs }
  }

  /**
   * Resolves when all that asked for this session's turn earlier have released it, on whichever replica.
   *
   * @throws ServiceError TURN_QUEUE_FULL, STORE_UNAVAILABLE, SERVICE_STOPPING; the signal's reason when it aborts the wait.
   */
  async enter (sessionId: string, { maxWaiting, onQueued = () => {}, signal }: LockOptions = {}): Promise<QueuedTurn> {
    signal?.throwIfAborted()
    if (this.#closing !== undefined) throw refuseAtEnd()
    const ticket = this.#ask(sessionId, maxWaiting)
    const release = async (wasInterrupted = false): Promise<void> => {
      await ticket.leave(wasInterrupted)
      this.#tickets.delete(ticket)
    }
    const depart = (): void => { ticket.depart(signal?.reason) }
    signal?.addEventListener('abort', depart, { once: true })
    try {
      return { row: await ticket.wait(onQueued), lease: ticket.lease, release }
    } catch (error) {
      // Nobody waits for the next one to come in.
      release(error instanceof ServiceError && error.code === 'TURN_CANCELLED')
      throw error
    } finally {
      signal?.removeEventListener('abort', depart)
    }
  }

  /**
   * Asks for the end of the turn that another replica runs, and resolves when that has ended, to whether this is what ended it. False if none runs.
   *
   * @throws ServiceError STORE_UNAVAILABLE, SERVICE_STOPPING
   */
  async interrupt (sessionId: string): Promise<boolean> {
    const { events, owner, ttlMs } = this.#parts
    const leaseId = await refuseFailure(async () => await this.#statements.askToEnd(sessionId, owner))
    if (leaseId === undefined) return false
    const bell = new Bell()
    const unfollow = events.subscribe(`outcome:${leaseId}`, bell.ring)
    try {
      for (;;) {
        const found = await refuseFailure(async () => await this.#statements.findOutcome(leaseId))
        // A lease that ended by itself cut its turn off: nobody knows what became of it.
        if (found === undefined || (found.outcome === null && found.leftMs < 0)) return false
        if (found.outcome !== null) return found.outcome === 'interrupted'
        await bell.hear(Math.min(Math.max(1, found.leftMs), ttlMs), this.#end.signal)
      }
    } finally {
      unfollow()
    }
  }

  /** What waits leaves. What runs is lost here, and nobody takes it over before its lease ends, unless it is released. Safe to call twice. */
  async close (): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  #ask (sessionId: string, maxWaiting: number | undefined): TurnTicket {
    const ticket = new TurnTicket(sessionId, maxWaiting, this.#asking.get(sessionId)?.asked, this.#parts)
    this.#tickets.add(ticket)
    this.#asking.set(sessionId, ticket)
    ticket.asked.then(() => {
      if (this.#asking.get(sessionId) === ticket) this.#asking.delete(sessionId)
    })
    return ticket
  }

  async #close (): Promise<void> {
    const reason = refuseAtEnd()
    this.#end.abort(reason)
    this.#departures.giveUp()
    await Promise.all([...this.#tickets].map(async ticket => { await ticket.end(reason) }))
    await this.#renewals.close()
  }
}
