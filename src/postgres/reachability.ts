import type { Log } from '../log.ts'
import { explainPostgresError } from './errors.ts'

/** How the state of the server is found out, and told. */
export interface ReachabilityOptions {
  readonly log: Log
  /** Rejects as long as the server keeps no changes. */
  readonly probe: () => Promise<void>
  readonly retryMs: number
}

/**
 * Whether Postgres keeps changes, by what was found last. A failure is told once; from then on it is asked again and again, since those who heard of
 * the failure ask no more.
 */
export class Reachability {
  readonly #options: ReachabilityOptions
  #reason: string | undefined
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor (options: ReachabilityOptions) {
    this.#options = options
  }

  /** Why it does not; undefined if it does. */
  get reason (): string | undefined {
    return this.#reason
  }

  fail (error: unknown): void {
    if (this.#isStopped) return
    const reason = explainPostgresError(error)
    if (this.#reason !== reason) this.#options.log.error({ err: error }, `Postgres keeps no changes: ${reason}; they are refused until it does`)
    this.#reason = reason
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(async () => { await this.#ask() }, this.#options.retryMs)
    // A process that has nothing else to do may end.
    this.#timer.unref()
  }

  stop (): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  async #ask (): Promise<void> {
    try {
      await this.#options.probe()
      this.#timer = undefined
      this.#reason = undefined
      this.#options.log.info({}, 'Postgres keeps changes again')
    } catch (error) {
      this.#timer = undefined
      this.fail(error)
    }
  }
}
