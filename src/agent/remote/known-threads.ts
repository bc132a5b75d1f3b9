/** More are not worth their memory. */
const MAX_KNOWN = 10_000

/** Threads that are known to exist, so that a loss can be told; the oldest are forgotten first. */
export class KnownThreads {
  readonly #ids = new Set<string>()

  add (threadId: string): void {
    if (this.#ids.has(threadId)) return
    const [oldest] = this.#ids
    if (oldest !== undefined && this.#ids.size >= MAX_KNOWN) this.#ids.delete(oldest)
    this.#ids.add(threadId)
  }

  /** Whether it was known. */
  delete (threadId: string): boolean {
    return this.#ids.delete(threadId)
  }
}
