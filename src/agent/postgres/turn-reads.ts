import { currentLease, type TurnLease } from '../../turn-lease.ts'

/** Which checkpoint was read last in a turn, the newest of a namespace, and what it was once it is there. */
interface TurnRead {
  readonly threadId: string
  readonly namespace: string
  row: unknown
}

/**
 * What turns have read and nobody has written to since: a turn looks at its thread for what waits there, and then runs it, which is the same read.
 *
 * *Promise.* Only what is read twice in a row under one lease, without a write under it between, is handed out again, and once. Nobody else writes to
 * the thread of a turn while its lease is good; whoever has lost it is refused every write.
 */
export class TurnReads {
  readonly #reads = new WeakMap<TurnLease, TurnRead>()

  /** The row that was read last, or what `read` finds. */
  async read (threadId: string, namespace: string, read: () => Promise<unknown>): Promise<unknown> {
    const lease = currentLease()
    if (lease === undefined) return await read()
    const last = this.#reads.get(lease)
    this.#reads.delete(lease)
    if (last?.row !== undefined && last.threadId === threadId && last.namespace === namespace) return last.row
    const own: TurnRead = { threadId, namespace, row: undefined }
    this.#reads.set(lease, own)
    // A write meanwhile takes it out of there.
    own.row = await read()
    return own.row
  }

  /** Writes; what was read before it, or while it is under way, is not to be relied on. */
  async write<T> (write: () => Promise<T>): Promise<T> {
    this.#forget()
    try {
      return await write()
    } finally {
      this.#forget()
    }
  }

  #forget (): void {
    const lease = currentLease()
    if (lease !== undefined) this.#reads.delete(lease)
  }
}
