/** What is under way, by thread. */
export class Flights {
  readonly #byThread = new Map<string, Set<Promise<unknown>>>()

  /** How many are under way on a thread. */
  count (threadId: string): number {
    return this.#byThread.get(threadId)?.size ?? 0
  }

  /** Counts something in until it is over, whichever way it ends. */
  async add<R> (threadId: string, flight: Promise<R>): Promise<R> {
    const flights = this.#byThread.get(threadId) ?? new Set()
    this.#byThread.set(threadId, flights.add(flight))
    try {
      return await flight
    } finally {
      flights.delete(flight)
      if (flights.size === 0) this.#byThread.delete(threadId)
    }
  }

  /** Resolves when nothing is under way on a thread; what is done before anything is awaited is done in peace. */
  async settle (threadId: string): Promise<void> {
    for (let flights = this.#byThread.get(threadId); flights !== undefined; flights = this.#byThread.get(threadId)) await Promise.allSettled(flights)
  }
}
