import type { Log } from '../log.ts'
import type { AgentStatus } from './agent.ts'
import { explainDiskError, isDiskFailure, refuseConversation } from './disk-error.ts'

/** An attempt that takes long, since a big file is read, is not made again at once: all of them together take a tenth of the time. */
const PAUSE_PER_ATTEMPT = 9

/** What is used until its disk fails, and how it is made anew. */
export interface ReopeningOptions<T> {
  /** Opens it; rejects while it takes no writes. */
  readonly open: () => Promise<T>
  /** Rejects while what lies on the disk is not fit to be opened again. */
  readonly check: () => Promise<void>
  /** Lets go of one whose disk failed. */
  readonly discard: (resource: T) => void
  /** Lets go of one that is sound. */
  readonly close: (resource: T) => void
  /** Pause between two attempts. */
  readonly retryMs: number
  readonly now: () => number
  readonly log: Log
}

/**
 * The one way to a resource whose disk may fail.
 *
 * *Promise.* After a failure (`isDiskFailure`) the resource is let go of, and nothing is read from it or written to it any more; its users, those
 * in the middle of something too, get CONVERSATIONS_UNAVAILABLE. It is opened again only after a check, and by itself. The log says once that it
 * begins, once more when the reason becomes another one, and once that it is over.
 *
 * *Not promised.* That what failed left no trace: a write whose sync failed may be found there later.
 */
export class Reopening<T> {
  readonly #options: ReopeningOptions<T>
  #resource: T | undefined
  #reason: string | undefined
  #epoch = 0
  #isClosed = false
  #timer: NodeJS.Timeout | undefined
  #attempt: Promise<void> | undefined

  constructor (resource: T, options: ReopeningOptions<T>) {
    this.#resource = resource
    this.#options = options
  }

  /** How often its disk failed. What is remembered from an earlier epoch may be wrong: somebody may have put a backup in place. */
  get epoch (): number {
    return this.#epoch
  }

  /** Whether it can be written to; why not, in words for an operator. */
  status (): AgentStatus {
    return this.#reason === undefined ? { canSave: true } : { canSave: false, reason: this.#reason }
  }

  /** Does something with the resource. An error that is not the disk's is thrown as it is. */
  async use<R> (work: (resource: T) => Promise<R>): Promise<R> {
    const resource = this.#take()
    try {
      return await work(resource)
    } catch (error) {
      throw this.#judge(resource, error)
    }
  }

  /** Goes through something of the resource; errors as with `use`. */
  async * iterate<R> (work: (resource: T) => AsyncIterable<R>): AsyncGenerator<R> {
    const resource = this.#take()
    try {
      yield * work(resource)
    } catch (error) {
      throw this.#judge(resource, error)
    }
  }

  /** Lets go of the resource, after an attempt that is under way. Safe to call twice. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    if (this.#attempt !== undefined) await this.#attempt
    const resource = this.#resource
    this.#resource = undefined
    if (resource !== undefined) this.#options.close(resource)
  }

  #take (): T {
    if (this.#resource === undefined) throw refuseConversation()
    return this.#resource
  }

  #judge (resource: T, error: unknown): unknown {
    const isCurrent = this.#resource === resource
    if (isCurrent && isDiskFailure(error)) this.#fail(resource, error)
    // Whoever was in the middle of something when it was let go of fails for that reason, whatever the error says.
    return this.#resource === resource ? error : refuseConversation(error)
  }

  #fail (resource: T, error: unknown): void {
    this.#resource = undefined
    this.#epoch++
    this.#tell(error)
    try {
      this.#options.discard(resource)
    } catch (cause) {
      this.#options.log.error({ err: cause }, 'The file of the conversations could not be closed')
    }
    this.#retryAfter(this.#options.retryMs)
  }

  #tell (error: unknown): void {
    const reason = explainDiskError(error)
    if (reason !== this.#reason) this.#options.log.error({ err: error }, `Conversations cannot be saved: ${reason}`)
    this.#reason = reason
  }

  #retryAfter (pauseMs: number): void {
    if (this.#isClosed) return
    this.#timer = setTimeout(() => { this.#attempt = this.#reopen() }, pauseMs)
    // A process that has nothing else to do may end.
    this.#timer.unref()
  }

  async #reopen (): Promise<void> {
    const { check, open, retryMs, now, log } = this.#options
    const startedAtMs = now()
    try {
      await check()
      if (this.#isClosed) return
      this.#resource = await open()
    } catch (error) {
      this.#tell(error)
      this.#retryAfter(Math.max(retryMs, (now() - startedAtMs) * PAUSE_PER_ATTEMPT))
      return
    }
    this.#reason = undefined
    log.info({}, 'Conversations can be saved again')
  }
}
