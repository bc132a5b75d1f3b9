import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Log } from '../log.ts'
import type { LockOptions } from '../sessions/store.ts'
import type { TurnLease } from '../turn-lease.ts'
import { refuseAtEnd, refuseFailure, refuseTurn, refuseWait } from '../turn-refusal.ts'
import { unlessAborted } from '../unless-aborted.ts'
import type { RedisConnection } from './client.ts'
import type { RedisEvents } from './events.ts'
import { TurnInterrupts } from './turn-interrupts.ts'
import { TurnReleases } from './turn-releases.ts'
import { ADVANCE_TURN, ENTER_TURN } from './turn-scripts.ts'
import { TurnTickets, type TurnTicket } from './turn-tickets.ts'

const TTL_MS = 10_000

/** How long a close waits for a server that does not answer: leases end by themselves. */
const CLOSE_MS = 1_000

/** After which a lease is gone that has ended: it counts in whole milliseconds. */
const LITTLE_MS = 10

/** What `TurnPlace` begins with. */
const FIRST = 1
const ABSENT = -1

/** A turn whose time has come. */
export interface QueuedTurn {
  readonly lease: TurnLease
  /** All fields of the session's hash as they were then; undefined if there is none. */
  readonly row: Readonly<Record<string, string>> | undefined
  /**
   * Lets the next one in; resolves when it may come in, at the latest when the lease ends; never rejects. A second call does nothing.
   * `wasInterrupted`: the lease's TURN_CANCELLED is what ended the turn.
   */
  release (wasInterrupted?: boolean): Promise<void>
}

/** What a queue is kept with. */
export interface RedisTurnQueueOptions {
  readonly redis: Pick<RedisConnection, 'run' | 'read' | 'clock'>
  readonly events: RedisEvents
  readonly log: Log
  /** How long a replica that says nothing keeps its turns. */
  readonly ttlMs?: number
  /** How often it says something. */
  readonly renewMs?: number
}

/**
 * 1 first, 0 behind others, -1 not there; for how many ms the first one is good; 1 where the turn was asked to end by now; the session's hash,
 * names and values in turn.
 */
const TurnPlace = Type.Tuple([Type.Integer(), Type.Integer(), Type.Integer(), Type.Array(Type.String())])
type TurnPlace = Static<typeof TurnPlace>

/**
 * The turns of sessions, over all replicas that share a Redis server.
 *
 * *Promise.* One turn of a session runs at a time, in the order in which they asked, by the server's own expiry of keys: the clocks of replicas do
 * not matter. A script that checks the lease (`LEASE_CHECK_LUA`) writes only for the turn whose time it is. Entering and leaving take one round trip
 * each. The turns of a replica that dies are over when its leases end.
 * Keys expire at a time of day, in the append-only file and on copies of the server, too: leases run out while it is down, and none is good for
 * longer after a restart.
 *
 * *Not promised.* Where the server loses what it acknowledged (`appendfsync everysec`, a failover), leases are lost, and their turns are cut off at
 * the next renewal or write: two may run side by side until then, of which one can write. The same where the server's clock is set forward; set
 * back, it makes others wait longer for the turns of a dead replica. A request to enter that found no answer may keep others waiting for `ttlMs`.
 */
export class RedisTurnQueue {
  readonly #options: Required<RedisTurnQueueOptions>
  readonly #owner = randomUUID()
  readonly #tickets: TurnTickets
  readonly #interrupts: TurnInterrupts
  readonly #releases: TurnReleases
  readonly #closing = new AbortController()

  constructor (options: RedisTurnQueueOptions) {
    const ttlMs = options.ttlMs ?? TTL_MS
    const { renewMs } = this.#options = { renewMs: Math.ceil(ttlMs / 3), ...options, ttlMs }
    this.#tickets = new TurnTickets(this.#options)
    this.#interrupts = new TurnInterrupts({ ...this.#options, owner: this.#owner, lookMs: renewMs, stopped: this.#closing.signal })
    this.#releases = new TurnReleases({ ...this.#options, retryMs: renewMs / 4, stopped: this.#closing.signal })
    // One for each that waits: many, and each is taken off again.
    setMaxListeners(0, this.#closing.signal)
  }

  /**
   * Resolves when all that asked for this session's turn earlier have released it, or are gone.
   *
   * @throws ServiceError TURN_QUEUE_FULL when `maxWaiting` are waiting already, on all replicas; STORE_UNAVAILABLE when Redis is, or has lost the
   * place; SERVICE_STOPPING; the signal's reason when it aborts the wait.
   */
  async enter (sessionId: string, { maxWaiting = Infinity, onQueued = () => {}, signal }: LockOptions = {}): Promise<QueuedTurn> {
    signal?.throwIfAborted()
    this.#closing.signal.throwIfAborted()
    const ticket = this.#tickets.open(sessionId)
    const asked = this.#ask(ticket, maxWaiting)
    try {
      let place = await unlessAborted(asked, signal)
      if (place[0] === ABSENT) throw refuseWait()
      this.#tickets.noteGiven(ticket)
      onQueued()
      while (place[0] !== FIRST) {
        await ticket.bell.hear(Math.min(place[1] + LITTLE_MS, this.#options.renewMs), signal)
        place = await this.#advance(ticket)
      }
      return this.#lend(ticket, place)
    } catch (error) {
      // Nobody who leaves waits until the server knows.
      this.#release(ticket, false, asked)
      throw error
    }
  }

  /** As `SessionStore.interrupt` does. Throws STORE_UNAVAILABLE. */
  async interrupt (sessionId: string): Promise<boolean> {
    return await this.#interrupts.interrupt(sessionId)
  }

  /** What waits leaves. What runs may be in the middle of something: it is lost here, and nobody takes it over before its lease ends. */
  async close (): Promise<void> {
    this.#closing.abort(refuseAtEnd())
    for (const ticket of this.#tickets.close()) {
      this.#release(ticket, false)
      ticket.bell.ring()
    }
    await this.#releases.settle(CLOSE_MS)
  }

  /** A request whose answer went with the connection is made again: for the same lease it is the same place. */
  async #ask ({ sessionId, lease }: TurnTicket, maxWaiting: number): Promise<TurnPlace> {
    const { redis, ttlMs } = this.#options
    const most = Number.isFinite(maxWaiting) ? maxWaiting : ''
    const ask = (): Promise<unknown> => redis.run(ENTER_TURN, sessionId, lease.id, this.#owner, ttlMs, most)
    return Value.Parse(TurnPlace, await refuseFailure(() => ask().catch(async error => await (isAnswerLost(error) ? ask() : Promise.reject(error)))))
  }

  async #advance (ticket: TurnTicket): Promise<TurnPlace> {
    this.#closing.signal.throwIfAborted()
    refuseLost(ticket)
    try {
      const place = Value.Parse(TurnPlace, await this.#options.redis.run(ADVANCE_TURN, ticket.sessionId, ticket.lease.id))
      if (place[0] === ABSENT) ticket.lease.lose()
      return place
    } catch {
      // The place is good for as long as its lease is: Redis may be back before.
      return [0, this.#options.renewMs, 0, []]
    } finally {
      refuseLost(ticket)
    }
  }

  #lend (ticket: TurnTicket, [, , isAskedToEnd, fields]: TurnPlace): QueuedTurn {
    // Given back by then.
    this.#closing.signal.throwIfAborted()
    refuseLost(ticket)
    ticket.isRunning = true
    if (isAskedToEnd === 1) ticket.lease.cancel()
    return {
      lease: ticket.lease,
      row: readHash(fields),
      release: async (wasInterrupted = false) => { await this.#release(ticket, wasInterrupted) }
    }
  }

  #release (ticket: TurnTicket, wasInterrupted: boolean, asked?: Promise<TurnPlace>): Promise<void> {
    if (!this.#tickets.forget(ticket)) return Promise.resolve()
    const isThere = asked?.then(([place]) => place !== ABSENT, () => true)
    return this.#releases.giveBack(ticket, wasInterrupted, isThere)
  }
}

/** A place that was lost cuts nothing off: the turn was not begun. To queue again would put it behind those that came later. */
function refuseLost ({ lease }: TurnTicket): void {
  try {
    lease.check()
  } catch (cause) {
    throw refuseTurn(cause)
  }
}

/** Names and values in turn, as HGETALL gives them; a hash without any does not exist. */
function readHash (fields: readonly string[]): Readonly<Record<string, string>> | undefined {
  if (fields.length === 0) return undefined
  return Object.fromEntries(fields.flatMap((name, index) => index % 2 === 0 ? [[name, fields[index + 1] ?? '']] : []))
}

/** Whether the connection ended on a command that had been sent. */
function isAnswerLost (error: unknown): boolean {
  return error instanceof Error && ['AbortError', 'MaxRetriesPerRequestError'].includes(error.name)
}
