import { ServiceError } from './errors.ts'

/** One ends when its client goes or its turn ends; nobody knows when. */
const RETRY_AFTER_SECONDS = 5

/** The event streams that are open now, counted by client. */
export class OpenStreams {
  readonly #max: number
  readonly #open = new Map<string, number>()

  /** `max` of one client; 0 is no limit. */
  constructor (max: number) {
    this.#max = max
  }

  /** How many clients have one open. */
  get clients (): number {
    return this.#open.size
  }

  /** Counts one more, until the function that it returns is called; another call of it does nothing. Throws STREAMS_EXCEEDED. */
  take (client: string): () => void {
    const open = this.#open.get(client) ?? 0
    if (this.#max > 0 && open >= this.#max) throw new ServiceError('STREAMS_EXCEEDED', { retryAfterSeconds: RETRY_AFTER_SECONDS })
    this.#open.set(client, open + 1)
    let isOpen = true
    return () => {
      if (!isOpen) return
      isOpen = false
      const left = (this.#open.get(client) ?? 1) - 1
      if (left === 0) this.#open.delete(client)
      else this.#open.set(client, left)
    }
  }
}
