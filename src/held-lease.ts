import { setMaxListeners } from 'node:events'
import { ServiceError } from './errors.ts'
import type { TurnLease } from './turn-lease.ts'

/** What the engine's clock and this machine's may differ by within one lease, and what it takes to stop: a part of the time that it was given for. */
const MARGIN = 1 / 20

const RETRY_AFTER_SECONDS = 5

/** For how long a lease was asked for, and when. */
export interface HeldLeaseOptions {
  readonly id: string
  readonly ttlMs: number
  /** When the engine was asked, by the monotonic clock: it gave the lease later than that, so that it ends later there than here. */
  readonly askedAtMs: number
  /** Milliseconds that nobody sets. */
  readonly monotonic?: () => number
}

/**
 * A lease as the replica sees it that holds it.
 *
 * *Promise.* It is lost here before the engine may give the turn to somebody else: whatever keeps it from being renewed, a process that was stopped
 * included, `check` throws from then on.
 *
 * *Not promised.* That it is good while `check` throws nothing: the engine may have lost it. A machine that sleeps may stop its monotonic clock. What
 * the engine itself checks is safe in both cases.
 */
export class HeldLease implements TurnLease {
  readonly id: string
  readonly #monotonic: () => number
  readonly #ttlMs: number
  readonly #end = new AbortController()
  #goodUntilMs: number
  #isLost = false
  #timer: NodeJS.Timeout | undefined

  constructor ({ id, ttlMs, askedAtMs, monotonic = () => performance.now() }: HeldLeaseOptions) {
    this.id = id
    this.#ttlMs = ttlMs
    this.#monotonic = monotonic
    this.#goodUntilMs = askedAtMs + ttlMs * (1 - MARGIN)
    // Everything that a turn does may listen, and is gone when the turn is.
    setMaxListeners(0, this.#end.signal)
    this.#watch()
  }

  get signal (): AbortSignal {
    return this.#end.signal
  }

  check (): void {
    if (!this.#isLost && this.#monotonic() >= this.#goodUntilMs) this.lose()
    if (this.#isLost) throw describeLoss()
  }

  /** The engine was asked at this time, and has renewed it. One that was lost stays lost: what ran under it may have been stopped. */
  renew (askedAtMs: number): void {
    this.#goodUntilMs = Math.max(this.#goodUntilMs, askedAtMs + this.#ttlMs * (1 - MARGIN))
  }

  /** The engine does not know it any more. */
  lose (): void {
    this.#isLost = true
    this.settle()
    this.#end.abort(describeLoss())
  }

  /** Somebody asked for the turn to end; what it writes until then is still good. */
  cancel (): void {
    this.#end.abort(new ServiceError('TURN_CANCELLED'))
  }

  /** Nobody needs it any more. */
  settle (): void {
    clearTimeout(this.#timer)
  }

  /** Without a look at the clock at each renewal: when the time is over that was the last one when the timer was set. */
  #watch (): void {
    this.#timer = setTimeout(() => {
      if (this.#monotonic() < this.#goodUntilMs) this.#watch()
      else this.lose()
    }, Math.max(1, Math.ceil(this.#goodUntilMs - this.#monotonic())))
    this.#timer.unref()
  }
}

function describeLoss (): ServiceError {
  return new ServiceError('TURN_TAKEN_OVER', { retryAfterSeconds: RETRY_AFTER_SECONDS })
}
