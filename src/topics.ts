/**
 * Who is to be woken, by what they follow: at each news of it, or, while none are heard, now and then.
 *
 * *Promise.* No timer polls while news are heard, or while nobody follows anything.
 */
export class Topics {
  readonly #pollMs: number
  readonly #wakes = new Map<string, Set<() => void>>()
  #isHearing = false
  #isClosed = false
  #polling: NodeJS.Timeout | undefined

  /** Hears nothing yet. `pollMs`: from one time that all are woken to the next, while that is so. */
  constructor (pollMs: number) {
    this.#pollMs = pollMs
  }

  /** Whether news are heard. */
  get isHearing (): boolean {
    return this.#isHearing
  }

  /** Until the function that it returns is called. */
  follow (topic: string, wake: () => void): () => void {
    const wakes = this.#wakes.get(topic) ?? new Set()
    // Two who give the same function are two.
    const own = (): void => { wake() }
    wakes.add(own)
    this.#wakes.set(topic, wakes)
    this.#pollIfDeaf()
    return () => {
      wakes.delete(own)
      if (wakes.size === 0 && this.#wakes.get(topic) === wakes) this.#wakes.delete(topic)
      this.#pollIfDeaf()
    }
  }

  /** There is news of it. */
  wake (topic: string): void {
    for (const wake of [...this.#wakes.get(topic) ?? []]) wake()
  }

  /** News are heard from now on. What there was before was not told: all are woken. */
  hear (): void {
    this.#isHearing = true
    this.#pollIfDeaf()
    this.#wakeAll()
  }

  /** Nothing is heard from now on. */
  miss (): void {
    this.#isHearing = false
    this.#pollIfDeaf()
  }

  /** Wakes nobody any more. */
  close (): void {
    this.#isClosed = true
    this.#wakes.clear()
    this.#pollIfDeaf()
  }

  #wakeAll (): void {
    for (const topic of [...this.#wakes.keys()]) this.wake(topic)
  }

  #pollIfDeaf (): void {
    if (!this.#isHearing && !this.#isClosed && this.#wakes.size > 0) {
      this.#polling ??= setInterval(() => { this.#wakeAll() }, this.#pollMs).unref()
    } else {
      clearInterval(this.#polling)
      this.#polling = undefined
    }
  }
}
