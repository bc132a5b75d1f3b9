import { randomUUID } from 'node:crypto'
import { Bell } from '../bell.ts'
import { ServiceError } from '../errors.ts'
import { HeldLease } from '../held-lease.ts'
import { refuseFailure, refuseTurn, refuseWait } from '../turn-refusal.ts'
import type { PostgresClock } from './clock.ts'
import type { PostgresEvents } from './events.ts'
import type { TurnDepartures } from './turn-departures.ts'
import type { TurnRenewals } from './turn-renewals.ts'
import { isPassing, type TurnPlace, type TurnStatements } from './turn-statements.ts'

/** What tickets are taken, kept and let go of with. */
export interface TurnTicketParts {
  readonly statements: Pick<TurnStatements, 'enter' | 'look'>
  readonly renewals: Pick<TurnRenewals, 'add' | 'delete' | 'look'>
  readonly departures: Pick<TurnDepartures, 'leave' | 'leaveLater'>
  readonly events: Pick<PostgresEvents, 'subscribe'>
  readonly clock: Pick<PostgresClock, 'sync'>
  readonly owner: string
  readonly ttlMs: number
  /** How soon the server is asked again when it did not answer. */
  readonly retryMs: number
}

/** No sooner is looked again at one who is dead while its last write is under way. */
const MIN_LOOK_MS = 100

/** A place in the queue of a session, from when it is asked for until it is let go of. */
export class TurnTicket {
  readonly lease: HeldLease
  /** Resolves when the server has answered, whatever it did. */
  readonly asked: Promise<unknown>
  readonly #sessionId: string
  readonly #parts: TurnTicketParts
  readonly #entered: Promise<TurnPlace | undefined>
  readonly #unfollow: () => void
  readonly #bell = new Bell()
  readonly #departure = new AbortController()
  #isSent = false
  #isHeld = false
  #left: Promise<void> | undefined

  /** Asks for it, once `after` has been asked for. */
  constructor (sessionId: string, maxWaiting: number | undefined, after: Promise<unknown> | undefined, parts: TurnTicketParts) {
    this.#sessionId = sessionId
    this.#parts = parts
    this.lease = new HeldLease({ id: randomUUID(), ttlMs: parts.ttlMs, askedAtMs: performance.now() })
    this.lease.signal.addEventListener('abort', () => { this.depart(this.lease.signal.reason) }, { once: true })
    // Before it is asked for: the turn may come before the answer does.
    this.#unfollow = parts.events.subscribe(`lease:${this.lease.id}`, () => { this.#wake() })
    this.#entered = this.#enter(maxWaiting, after)
    this.asked = this.#entered.catch(() => {})
  }

  /** Resolves when it is the ticket's turn: to the session's row. Throws what ended the wait. */
  async wait (onQueued: () => void): Promise<unknown> {
    let place = await this.#orDepart(this.#entered)
    if (place === undefined) throw refuseWait()
    this.#parts.renewals.add(this.lease)
    onQueued()
    while (!place.isFirst) {
      // No longer, however far the server's clock was set back.
      const waitMs = Math.min(Math.max(place.waitMs, MIN_LOOK_MS), this.#parts.ttlMs)
      await this.#bell.hear(waitMs, this.#departure.signal)
      place = await this.#orDepart(this.#look(place))
    }
    this.#departure.signal.throwIfAborted()
    this.#isHeld = true
    if (place.isCancelled) this.lease.cancel()
    return place.row
  }

  /** Ends the wait. A lease that is lost while it waits has cut nothing off: the message was not begun, and may be sent again. */
  depart (reason: unknown): void {
    const isLoss = reason instanceof ServiceError && reason.code === 'TURN_TAKEN_OVER'
    this.#departure.abort(isLoss ? refuseTurn(reason) : reason)
  }

  /** Resolves when the next one may come in. */
  async leave (wasInterrupted: boolean): Promise<void> {
    this.#left ??= this.#leave(wasInterrupted)
    await this.#left
  }

  /** Ends a wait. A turn that goes on may be in the middle of something: it is lost here, and nobody takes it over before its lease ends. */
  async end (reason: ServiceError): Promise<void> {
    if (this.#isHeld && this.#left === undefined) {
      this.lease.lose()
      return
    }
    this.depart(reason)
    await this.leave(false)
  }

  async #enter (maxWaiting: number | undefined, after: Promise<unknown> | undefined): Promise<TurnPlace | undefined> {
    await after
    this.#departure.signal.throwIfAborted()
    this.#isSent = true
    const { statements, owner, clock } = this.#parts
    const sentAtMs = performance.now()
    const place = await refuseFailure(async () => await statements.enter(this.#sessionId, this.lease.id, owner, maxWaiting))
    if (place !== undefined) clock.sync(place.nowMs, sentAtMs)
    return place
  }

  /** The place is kept while the server does not answer: it may be there when it does. */
  async #look (before: TurnPlace): Promise<TurnPlace> {
    let place: TurnPlace | undefined
    try {
      place = await this.#parts.statements.look(this.#sessionId, this.lease.id)
    } catch (error) {
      if (!isPassing(error)) throw refuseTurn(error)
      return { ...before, waitMs: this.#parts.retryMs }
    }
    if (place === undefined) throw refuseTurn(new Error('The place in the queue was lost'))
    return place
  }

  async #leave (wasInterrupted: boolean): Promise<void> {
    const { renewals, departures } = this.#parts
    this.#unfollow()
    renewals.delete(this.lease)
    this.lease.settle()
    try {
      if (await this.#entered !== undefined) await departures.leave(this.lease.id, wasInterrupted)
    } catch {
      // Whether the server has the ticket is not known.
      if (this.#isSent) await departures.leaveLater(this.lease.id, wasInterrupted)
    }
  }

  #wake (): void {
    if (this.#isHeld) this.#parts.renewals.look()
    else this.#bell.ring()
  }

  /** Waits for work, no longer than for the turn; the work then goes on by itself. */
  async #orDepart<T> (work: Promise<T>): Promise<T> {
    const { signal } = this.#departure
    let leave = (): void => {}
    const left = new Promise<never>((_resolve, reject) => {
      leave = () => { reject(signal.reason) }
      signal.addEventListener('abort', leave, { once: true })
      if (signal.aborted) leave()
    })
    try {
      return await Promise.race([work, left])
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }
}
