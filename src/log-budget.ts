/** How many lines, in how long. */
export interface LogBudgetOptions {
  readonly maxLines: number
  readonly windowMs: number
  readonly now: () => number
}

/** What becomes of a line. */
export interface Allowance {
  readonly isGranted: boolean
  /** Whether it is the last one that is granted in this window. */
  readonly isLast: boolean
  /** With the first of a window: how many were not granted since the one before. */
  readonly withheld: number
}

/**
 * A bound for lines that anybody can cause, so that nobody fills the disk or buries the other lines: `maxLines` in each window, which the first line
 * opens.
 */
export class LogBudget {
  readonly #options: LogBudgetOptions
  #startedAtMs = Number.NEGATIVE_INFINITY
  #asked = 0

  constructor (options: LogBudgetOptions) {
    this.#options = options
  }

  /** Whether one more line may be written. */
  take (): Allowance {
    const { maxLines, windowMs, now } = this.#options
    let withheld = 0
    // A clock that was set back opens a window, too, or there would be no line until it is where it was.
    if (Math.abs(now() - this.#startedAtMs) >= windowMs) {
      withheld = Math.max(0, this.#asked - maxLines)
      this.#startedAtMs = now()
      this.#asked = 0
    }
    this.#asked++
    return { isGranted: this.#asked <= maxLines, isLast: this.#asked === maxLines, withheld }
  }
}
