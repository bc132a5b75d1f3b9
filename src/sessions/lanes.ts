/** Work by key, one after another: a change of a session is made to the result of the one before, and waits for it here, not in the database. */
export class Lanes {
  /** The last one that waits, or is under way, of each key. */
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs something when all that was asked for earlier under its key has ended. */
  async run<T> (key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    const done = before === undefined ? work() : before.then(work, work)
    this.#last.set(key, done)
    try {
      return await done
    } finally {
      if (this.#last.get(key) === done) this.#last.delete(key)
    }
  }

  /** Resolves when all that was asked for until now has ended. */
  async settle (): Promise<void> {
    await Promise.allSettled(this.#last.values())
  }
}
