import { setMaxListeners } from 'node:events'
import { ServiceError } from './errors.ts'

/** The work that goes on, and its orderly end. */
export class UnderWay {
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  #isDraining = false

  constructor () {
    // One for each turn that runs or waits: many, and each is taken off again.
    setMaxListeners(0, this.#stop.signal)
  }

  /** Whether no more work is taken. */
  get isDraining (): boolean {
    return this.#isDraining
  }

  /** Aborted, with SERVICE_STOPPING, when the work has had its time. */
  get stopped (): AbortSignal {
    return this.#stop.signal
  }

  /** Does a piece of work, or throws SERVICE_STOPPING once draining has begun. */
  async track<T> (run: () => Promise<T>): Promise<T> {
    if (this.#isDraining) throw describeStop()
    const running = run()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Takes no more work, gives what is under way `graceMs` to finish, then stops it. Resolves when none is left. */
  async drain (graceMs: number): Promise<void> {
    this.#isDraining = true
    const timer = setTimeout(() => { this.#stop.abort(describeStop()) }, graceMs)
    await Promise.allSettled(this.#running)
    clearTimeout(timer)
  }
}

function describeStop (): ServiceError {
  return new ServiceError('SERVICE_STOPPING', { retryAfterSeconds: 5 })
}
