/** How often a key was counted within the window that runs. */
export interface RequestCount {
  readonly count: number
  /** Until the window ends. */
  readonly leftMs: number
}

/** How much is remembered, and by which clock. */
export interface RequestCountsOptions {
  /** Beyond, those whose windows began first are forgotten. */
  readonly maxKeys: number
  readonly now: () => number
}

interface Window {
  count: number
  readonly endsAtMs: number
}

/**
 * Counts of requests by key, each in windows of its own: the first request begins one.
 *
 * *Promise.* What is over is forgotten, and no more than `maxKeys` are ever remembered.
 *
 * *Not promised.* Counts across processes.
 */
export class RequestCounts {
  readonly #options: RequestCountsOptions
  /** In the order in which they began. */
  readonly #windows = new Map<string, Window>()

  constructor (options: RequestCountsOptions) {
    this.#options = options
  }

  /** How many keys are remembered. */
  get size (): number {
    return this.#windows.size
  }

  /** Counts one more. All windows of one instance are of one length. */
  add (key: string, windowMs: number): RequestCount {
    const nowMs = this.#options.now()
    this.#dropOver(nowMs, windowMs)
    const window = this.#windows.get(key) ?? { count: 0, endsAtMs: nowMs + windowMs }
    window.count++
    this.#windows.set(key, window)
    return { count: window.count, leftMs: window.endsAtMs - nowMs }
  }

  #dropOver (nowMs: number, windowMs: number): void {
    for (const [key, { endsAtMs }] of this.#windows) {
      // One that ends too late is from before the clock was set back: nobody is to wait for that.
      const isOver = endsAtMs <= nowMs || endsAtMs > nowMs + windowMs
      if (!isOver && this.#windows.size < this.#options.maxKeys) return
      this.#windows.delete(key)
    }
  }
}
