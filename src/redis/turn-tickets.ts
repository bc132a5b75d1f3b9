import { randomUUID } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Bell } from '../bell.ts'
import { HeldLease } from '../held-lease.ts'
import type { Log } from '../log.ts'
import type { RedisConnection } from './client.ts'
import { explainRedisError } from './errors.ts'
import type { RedisEvents } from './events.ts'
import { RENEW_TURNS } from './turn-scripts.ts'

/** Few enough for the server to do nothing else for no more than some milliseconds. */
const MAX_RENEWED_AT_ONCE = 1_000

/** After a failure: this part of the usual time. */
const HURRY = 1 / 4

/** What tickets are kept with. */
export interface TurnTicketsOptions {
  readonly redis: Pick<RedisConnection, 'run' | 'clock'>
  readonly events: RedisEvents
  readonly log: Log
  /** How long a ticket is good without being renewed, and how often it is. */
  readonly ttlMs: number
  readonly renewMs: number
}

/** A place in a queue, or at its head, as the replica sees it whose turn it is. */
export interface TurnTicket {
  readonly sessionId: string
  readonly lease: HeldLease
  /** Rings when there may be news of it, until the turn runs. */
  readonly bell: Bell
  isRunning: boolean
}

const Renewal = Type.Tuple([Type.Number(), Type.Array(Type.Integer())])

/**
 * The tickets of this replica, of turns that wait and of turns that run, all renewed together; with each renewal, the clock is set by the server's.
 *
 * *Promise.* A ticket that the server does not know any more is lost here, and one that was asked to end is cancelled, with the next renewal at the
 * latest. While renewals fail nothing is lost before its time.
 */
export class TurnTickets {
  readonly #options: TurnTicketsOptions
  readonly #tickets = new Map<string, TurnTicket>()
  /** Those that the server has given out: a renewal that overtakes the request for one must not find it gone. */
  readonly #given = new Set<TurnTicket>()
  readonly #unfollow = new Map<TurnTicket, () => void>()
  readonly #timer: NodeJS.Timeout
  #retry: NodeJS.Timeout | undefined
  #renewing: Promise<void> | undefined
  #isDueAgain = false
  #isFailing = false
  #isClosed = false

  constructor (options: TurnTicketsOptions) {
    this.#options = options
    this.#timer = setInterval(() => { this.#renewSoon() }, options.renewMs)
    this.#timer.unref()
  }

  /** Makes a ticket that is about to be asked for. */
  open (sessionId: string): TurnTicket {
    const { events, ttlMs } = this.#options
    const bell = new Bell()
    const lease = new HeldLease({ id: randomUUID(), ttlMs, askedAtMs: performance.now() })
    const ticket = { sessionId, lease, bell, isRunning: false }
    lease.signal.addEventListener('abort', bell.ring, { once: true })
    this.#tickets.set(lease.id, ticket)
    this.#unfollow.set(ticket, events.subscribe(`lease:${lease.id}`, () => {
      // Of a turn that runs, the one news there is: it was asked to end, which a renewal tells.
      if (ticket.isRunning) this.#renewSoon()
      else bell.ring()
    }))
    return ticket
  }

  /** The server has given it out. */
  noteGiven (ticket: TurnTicket): void {
    if (this.#tickets.has(ticket.lease.id)) this.#given.add(ticket)
  }

  /** Renews it no more. False if that was so already. */
  forget (ticket: TurnTicket): boolean {
    this.#unfollow.get(ticket)?.()
    this.#unfollow.delete(ticket)
    this.#given.delete(ticket)
    ticket.lease.settle()
    return this.#tickets.delete(ticket.lease.id)
  }

  /** Renews none any more, and loses those of turns that run. Returns the others. */
  close (): TurnTicket[] {
    clearInterval(this.#timer)
    clearTimeout(this.#retry)
    this.#isClosed = true
    for (const { isRunning, lease } of this.#tickets.values()) if (isRunning) lease.lose()
    return [...this.#tickets.values()].filter(({ isRunning }) => !isRunning)
  }

  #renewSoon (): void {
    this.#isDueAgain = this.#renewing !== undefined
    this.#renewing ??= this.#renewAll().finally(() => {
      this.#renewing = undefined
      if (this.#isDueAgain && !this.#isClosed) this.#renewSoon()
    })
  }

  async #renewAll (): Promise<void> {
    const tickets = [...this.#given]
    // Without any, for the clock.
    for (let start = 0; start === 0 || start < tickets.length; start += MAX_RENEWED_AT_ONCE) {
      await this.#renew(tickets.slice(start, start + MAX_RENEWED_AT_ONCE))
    }
  }

  async #renew (tickets: readonly TurnTicket[]): Promise<void> {
    const { redis, ttlMs } = this.#options
    const askedAtMs = performance.now()
    try {
      const [micros, states] = Value.Parse(Renewal, await redis.run(RENEW_TURNS, ttlMs, ...tickets.map(({ lease }) => lease.id)))
      redis.clock.sync(micros / 1000, askedAtMs)
      for (const [index, ticket] of tickets.entries()) this.#note(ticket, states[index] ?? 0, askedAtMs)
      if (this.#isFailing) this.#options.log.info({}, 'Redis: turns are renewed again')
      this.#isFailing = false
    } catch (error) {
      if (!this.#isFailing) this.#options.log.warn({ err: error }, `Redis: ${explainRedisError(error)}. Turns that run here are cut off if that lasts`)
      this.#isFailing = true
      if (!this.#isClosed) this.#retry ??= setTimeout(() => { this.#tryAgain() }, this.#options.renewMs * HURRY).unref()
    }
  }

  #tryAgain (): void {
    this.#retry = undefined
    this.#renewSoon()
  }

  #note (ticket: TurnTicket, state: number, askedAtMs: number): void {
    // One that was given back on the way is not lost.
    if (!this.#given.has(ticket)) return
    if (state === 0) ticket.lease.lose()
    else ticket.lease.renew(askedAtMs)
    if (state === 2) ticket.lease.cancel()
  }
}
