/** An answer that was longer on its way says too little about what time it is. */
const MAX_TRIP_MS = 1000

/**
 * The clock of the server, which all replicas keep: read now and then, and carried on by this machine's monotonic clock.
 *
 * *Promise.* Once it was synced, a wrong clock of this machine, or one that is set, changes nothing.
 *
 * *Not promised.* More than half the way of an answer between two replicas; that it never steps back.
 */
export class RedisClock {
  readonly #monotonic: () => number
  #offsetMs: number | undefined
  readonly #ambient: () => number

  constructor ({ now = Date.now, monotonic = () => performance.now() }: { readonly now?: () => number, readonly monotonic?: () => number } = {}) {
    this.#ambient = now
    this.#monotonic = monotonic
  }

  /** Milliseconds since the epoch, whole ones; by this machine's clock until it was synced. To be handed on as a function. */
  readonly now = (): number => {
    return this.#offsetMs === undefined ? this.#ambient() : Math.floor(this.#monotonic() + this.#offsetMs)
  }

  /** Takes the server's time, as it was at some moment between `sentAtMonotonicMs` and now. */
  sync (serverMs: number, sentAtMonotonicMs: number): void {
    const nowMs = this.#monotonic()
    if (this.#offsetMs !== undefined && nowMs - sentAtMonotonicMs > MAX_TRIP_MS) return
    this.#offsetMs = serverMs - (sentAtMonotonicMs + nowMs) / 2
  }
}
