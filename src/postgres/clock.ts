/** What tells the time until the server has. */
export interface PostgresClockOptions {
  readonly now?: () => number
}

/** A time of the server's, and when it was, by the monotonic clock. */
interface Fix {
  readonly serverMs: number
  readonly atMs: number
}

/**
 * The server's time: the same on all replicas, whatever their own clocks say.
 *
 * *Promise.* Off by at most half the time that the question for it took; goes on when the server does not answer, whatever is done to the clock of
 * this machine.
 *
 * *Not promised.* Never to step back: it may, by as much as it was off.
 */
export class PostgresClock {
  readonly #unsynced: () => number
  #fix: Fix | undefined

  constructor ({ now = Date.now }: PostgresClockOptions = {}) {
    this.#unsynced = now
  }

  /** Milliseconds since the epoch, whole ones. */
  readonly now = (): number => {
    return this.#fix === undefined ? this.#unsynced() : Math.round(this.#tell(this.#fix, performance.now()))
  }

  /** Takes the server's time, as an answer brought it; `sentAtMonotonicMs`: `performance.now()` when the question was sent. */
  sync (serverMs: number, sentAtMonotonicMs: number): void {
    const nowMs = performance.now()
    const uncertaintyMs = (nowMs - sentAtMonotonicMs) / 2
    const fix = { serverMs, atMs: sentAtMonotonicMs + uncertaintyMs }
    // What an answer cannot know better is left as it is: a slow one would make the time jump to and fro.
    const isBetter = this.#fix === undefined || Math.abs(this.#tell(fix, nowMs) - this.#tell(this.#fix, nowMs)) > uncertaintyMs
    if (isBetter) this.#fix = fix
  }

  #tell ({ serverMs, atMs }: Fix, monotonicMs: number): number {
    return serverMs + monotonicMs - atMs
  }
}
