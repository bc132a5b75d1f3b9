/** A hundred bytes each; a thread that is forgotten here is looked up again. */
const MAX_THREADS = 10_000

/**
 * Threads that this process left with nothing pending. Nobody else writes to them, so that there is nothing to look up.
 *
 * *Promise.* Nothing that was noted in an earlier epoch of the file counts.
 */
export class RestingThreads {
  readonly #threadIds = new Set<string>()
  readonly #readEpoch: () => number
  #epoch: number

  constructor (readEpoch: () => number) {
    this.#readEpoch = readEpoch
    this.#epoch = readEpoch()
  }

  has (threadId: string): boolean {
    this.#turnEpoch()
    return this.#threadIds.has(threadId)
  }

  /** Takes a thread out, since it moves; resolves the epoch in which it does, for `add`. */
  delete (threadId: string): number {
    this.#threadIds.delete(threadId)
    return this.#turnEpoch()
  }

  /** Notes a thread that came to rest, unless it began to move in another epoch: the file that it was written to may not be the one that is there. */
  add (threadId: string, movedInEpoch: number): void {
    if (this.#turnEpoch() !== movedInEpoch) return
    const [oldest] = this.#threadIds
    if (oldest !== undefined && this.#threadIds.size >= MAX_THREADS) this.#threadIds.delete(oldest)
    this.#threadIds.add(threadId)
  }

  #turnEpoch (): number {
    const epoch = this.#readEpoch()
    if (epoch !== this.#epoch) this.#threadIds.clear()
    this.#epoch = epoch
    return epoch
  }
}
