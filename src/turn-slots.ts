import { ServiceError } from './errors.ts'

/** How many turns run at once, and how long others wait. */
export interface TurnSlotsOptions {
  readonly maxRunning: number
  readonly maxWaiting?: number
  readonly maxWaitMs?: number
}

/** Long enough for several turns to end, and less than the time after which a bot, or a proxy, gives up. */
const MAX_WAIT_MS = 10_000

/** Where a turn takes the seconds that a model takes, those further behind would wait in vain. */
const WAITING_PER_SLOT = 4

/** How much is going on. */
export interface TurnLoad {
  /** Turns that run now. */
  readonly running: number
  /** Turns whose session is ready, and that wait for one of those to end. */
  readonly waiting: number
}

/** Turns take seconds: within so many, one or the other has ended. */
const RETRY_AFTER_SECONDS = 5

/**
 * The turns that run at once, of all sessions together.
 *
 * *Promise.* Never more than `maxRunning`; those who wait come in in the order in which they asked. Who would wait longer than `maxWaitMs`, or behind
 * `maxWaiting` others, is refused with OVERLOADED, and nothing has been run then. A slot is free again however its turn ends.
 *
 * *Not promised.* Any regard for sessions: a turn is to have the lock of its own before it comes here, or it would take a slot for waiting.
 */
export class TurnSlots {
  readonly #options: Required<TurnSlotsOptions>
  /** Lets the one in who came first; a Set keeps their order and lets one leave from the middle. */
  readonly #waiting = new Set<() => void>()
  #running = 0

  constructor (options: TurnSlotsOptions) {
    this.#options = { maxWaiting: options.maxRunning * WAITING_PER_SLOT, maxWaitMs: MAX_WAIT_MS, ...options }
  }

  /** What runs and what waits now. */
  get load (): TurnLoad {
    return { running: this.#running, waiting: this.#waiting.size }
  }

  /** Runs a turn as soon as there is a slot for it. Throws OVERLOADED, or the reason of `stop` when that ends the wait. */
  async run<T> (stop: AbortSignal, turn: () => Promise<T>): Promise<T> {
    stop.throwIfAborted()
    const { maxRunning, maxWaiting } = this.#options
    if (this.#running < maxRunning) this.#running++
    else if (this.#waiting.size >= maxWaiting) throw describeOverload()
    else await this.#wait(stop)
    try {
      return await turn()
    } finally {
      this.#pass()
    }
  }

  /** The slot goes from hand to hand: it is never free while somebody waits, so nobody overtakes. */
  #pass (): void {
    const [enter] = this.#waiting
    if (enter === undefined) this.#running--
    else enter()
  }

  async #wait (stop: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        stop.removeEventListener('abort', abandon)
        this.#waiting.delete(enter)
      }
      const enter = (): void => {
        leave()
        resolve()
      }
      const abandon = (): void => {
        leave()
        reject(stop.aborted ? stop.reason : describeOverload())
      }
      const timer = setTimeout(abandon, this.#options.maxWaitMs)
      stop.addEventListener('abort', abandon, { once: true })
      this.#waiting.add(enter)
    })
  }
}

function describeOverload (): ServiceError {
  return new ServiceError('OVERLOADED', { retryAfterSeconds: RETRY_AFTER_SECONDS })
}
