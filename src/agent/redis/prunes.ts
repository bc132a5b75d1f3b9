import type { Prune } from '../checkpoints/pruning.ts'

/** One that is forgotten is made up for by the next turn of its thread, on whichever replica. */
const MAX_THREADS = 10_000

/** What threads are to be pruned of along with their next checkpoint, as far as this replica wrote to them. */
export class Prunes {
  readonly #lastPuts = new Map<string, number>()
  readonly #prunes = new Map<string, Prune>()

  /** Notes the number of what was put last. */
  notePut (threadId: string, seq: number): void {
    keep(this.#lastPuts, threadId, Math.max(seq, this.#lastPuts.get(threadId) ?? 0))
  }

  /** All that was put so far is to be pruned. */
  ask (threadId: string, isResting: boolean): void {
    const upTo = this.#lastPuts.get(threadId)
    if (upTo !== undefined) keep(this.#prunes, threadId, { upTo, isResting })
  }

  find (threadId: string): Prune | undefined {
    return this.#prunes.get(threadId)
  }

  /** It was done; what was asked for meanwhile was not. */
  end (threadId: string, prune: Prune | undefined): void {
    if (this.#prunes.get(threadId) === prune) this.#prunes.delete(threadId)
  }

  forget (threadId: string): void {
    this.#lastPuts.delete(threadId)
    this.#prunes.delete(threadId)
  }

  /** Forgets all: a server that lost its last writes gives their numbers again. */
  clear (): void {
    this.#lastPuts.clear()
    this.#prunes.clear()
  }
}

function keep<V> (map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  const [oldest] = map.keys()
  if (oldest !== undefined && map.size >= MAX_THREADS) map.delete(oldest)
  map.set(key, value)
}
