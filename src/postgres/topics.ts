/** Who is to be woken, by what they follow. */
export class Topics {
  readonly #wakes = new Map<string, Set<() => void>>()

  /** How many topics somebody follows. */
  get size (): number {
    return this.#wakes.size
  }

  /** Until the function that it returns is called. */
  follow (topic: string, wake: () => void): () => void {
    const wakes = this.#wakes.get(topic) ?? new Set()
    // Two who give the same function are two.
    const own = (): void => { wake() }
    wakes.add(own)
    this.#wakes.set(topic, wakes)
    return () => {
      wakes.delete(own)
      if (wakes.size === 0 && this.#wakes.get(topic) === wakes) this.#wakes.delete(topic)
    }
  }

  wake (topic: string): void {
    for (const wake of [...this.#wakes.get(topic) ?? []]) wake()
  }

  wakeAll (): void {
    for (const topic of [...this.#wakes.keys()]) this.wake(topic)
  }

  clear (): void {
    this.#wakes.clear()
  }
}
