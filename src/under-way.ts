import { setMaxListeners } from 'node:events'
import { ServiceError } from './errors.ts'

/** The work that goes on, and its orderly end. */
export class UnderWay {
  readonly #stop = new AbortController()
  /** What is under way, and how its caller is told that it is not waited for any more. */
  readonly #running = new Map<Promise<unknown>, (reason: ServiceError) => void>()
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
    return await this.#follow(run())
  }

  /** Counts what comes after a piece of work, also while draining; what becomes of it is nobody's. */
  add (work: Promise<unknown>): void {
    this.#follow(work).catch(() => {})
  }

  /**
   * Takes no more work, gives what is under way `graceMs` to finish, then stops it, and after `stopMs` more gives up what does not stop: its caller
   * gets SERVICE_STOPPING. Resolves when none is left.
   */
  async drain (graceMs: number, stopMs: number): Promise<void> {
    this.#isDraining = true
    const giveUpAll = (): void => {
      for (const giveUp of this.#running.values()) giveUp(describeStop())
    }
    let timer = setTimeout(() => {
      timer = setTimeout(giveUpAll, stopMs)
      this.#stop.abort(describeStop())
    }, graceMs)
    // What has ended may leave something to be done.
    while (this.#running.size > 0) await Promise.allSettled(this.#running.keys())
    clearTimeout(timer)
  }

  async #follow<T> (work: Promise<T>): Promise<T> {
    let giveUp = (_reason: ServiceError): void => {}
    const running = new Promise<T>((resolve, reject) => {
      giveUp = reject
      work.then(resolve, reject)
    })
    this.#running.set(running, giveUp)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }
}

function describeStop (): ServiceError {
  return new ServiceError('SERVICE_STOPPING', { retryAfterSeconds: 5 })
}
