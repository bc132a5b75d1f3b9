import { AsyncLocalStorage } from 'node:async_hooks'

/** A clock that stands where it is told to, for what is written meanwhile: what is moved is as old as it was. */
export class MovedClock {
  readonly #moment = new AsyncLocalStorage<number>()
  readonly #now: () => number

  constructor (now: () => number) {
    this.#now = now
  }

  readonly now = (): number => this.#moment.getStore() ?? this.#now()

  async at<T> (timeMs: number, write: () => Promise<T>): Promise<T> {
    return await this.#moment.run(timeMs, write)
  }
}
