import { ServiceError } from '../errors.ts'
import type { LockOptions } from './store.ts'

/** A queue is full for as long as a turn takes; this is a usual one. */
const RETRY_AFTER_SECONDS = 5

type Enter = () => void

/** The hold on a key. */
export interface KeyLock {
  /** Lets the next waiter in; a second call does nothing. */
  release (): void
}

/** One queue a key: whoever holds a key makes the others wait, and they enter in the order in which they came. */
export class TurnLocks {
  /** The waiters of each key that is held; a Set keeps their order and lets one leave from the middle. */
  readonly #waiting = new Map<string, Set<Enter>>()

  /** Whether somebody holds this key now. */
  isHeld (key: string): boolean {
    return this.#waiting.has(key)
  }

  /** The keys that somebody holds now. */
  held (): Iterable<string> {
    return this.#waiting.keys()
  }

  /**
   * Resolves when all that asked for this key earlier have released it.
   *
   * @throws ServiceError TURN_QUEUE_FULL when `maxWaiting` are waiting already; the signal's reason when it aborts the wait.
   */
  async lock (key: string, { maxWaiting = Infinity, onQueued = () => {}, signal }: LockOptions = {}): Promise<KeyLock> {
    signal?.throwIfAborted()
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) {
      this.#waiting.set(key, new Set())
      onQueued()
    } else {
      if (waiting.size >= maxWaiting) throw new ServiceError('TURN_QUEUE_FULL', { retryAfterSeconds: RETRY_AFTER_SECONDS })
      onQueued()
      await takeTurn(waiting, signal)
    }
    return this.#holdOnce(key)
  }

  #holdOnce (key: string): KeyLock {
    let isReleased = false
    return {
      release: () => {
        if (isReleased) return
        isReleased = true
        this.#next(key)
      }
    }
  }

  /** The key goes from hand to hand: between two holders it is never free, so nobody overtakes the queue. */
  #next (key: string): void {
    const waiting = this.#waiting.get(key)
    const [enter] = waiting ?? []
    if (waiting === undefined || enter === undefined) {
      this.#waiting.delete(key)
      return
    }
    waiting.delete(enter)
    enter()
  }
}

function takeTurn (waiting: Set<Enter>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const enter = (): void => {
      signal?.removeEventListener('abort', leave)
      resolve()
    }
    const leave = (): void => {
      waiting.delete(enter)
      reject(signal?.reason)
    }
    waiting.add(enter)
    signal?.addEventListener('abort', leave, { once: true })
  })
}
