import type { Log } from '../../log.ts'
import { RemoteFailure } from './failure.ts'

/** How often it is looked, and how long an answer is waited for. */
export interface ReachabilityOptions {
  /** Hears when it can no longer be reached, and when it can again. */
  readonly log: Log
  /** What is known before it was ever looked: why not, or nothing. */
  readonly known?: string | undefined
  readonly now?: () => number
  readonly restMs?: number
  readonly timeoutMs?: number
}

/**
 * Whether somebody can be reached, for those who ask all the time.
 *
 * *Promise.* `look` answers at once, with what was found last. Only when somebody asks is it looked anew, once at a time and after a rest,
 * however many ask.
 *
 * *Not promised.* That the answer is newer than the last question: who asks once an hour hears what was true an hour ago.
 */
export class Reachability {
  readonly #probe: (signal: AbortSignal) => Promise<unknown>
  readonly #log: Log
  readonly #now: () => number
  readonly #restMs: number
  readonly #timeoutMs: number
  #lookedAtMs = -Infinity
  #isLooking = false
  #reason: string | undefined

  /** `probe` resolves when it has an answer, and rejects where `describeUnreachable` has a reason for it. */
  constructor (probe: (signal: AbortSignal) => Promise<unknown>, options: ReachabilityOptions) {
    const { log, known, now = Date.now, restMs = 5000, timeoutMs = 2000 } = options
    this.#probe = probe
    this.#log = log
    this.#reason = known
    this.#now = now
    this.#restMs = restMs
    this.#timeoutMs = timeoutMs
  }

  /** Why it could not be reached, in words for an operator, without an address; undefined if it could. */
  look (): string | undefined {
    // Also when the clock was set back.
    if (!this.#isLooking && Math.abs(this.#now() - this.#lookedAtMs) >= this.#restMs) this.#refresh()
    return this.#reason
  }

  /** Looks now; never rejects. */
  async #refresh (): Promise<void> {
    this.#isLooking = true
    try {
      await this.#probe(AbortSignal.timeout(this.#timeoutMs))
      if (this.#reason !== undefined) this.#log.info({}, 'The LangGraph server answers again')
      this.#reason = undefined
    } catch (error) {
      const reason = describeUnreachable(error)
      if (this.#reason === undefined) this.#log.warn({ err: error }, 'The LangGraph server does not answer: turns fail until it does')
      this.#reason = reason
    } finally {
      this.#lookedAtMs = this.#now()
      this.#isLooking = false
    }
  }
}

/** What anybody may know of why a server could not be reached; the rest is for the log. Undefined if it could: it answered, if with a refusal. */
export function describeUnreachable (error: unknown): string | undefined {
  if (!(error instanceof RemoteFailure) || error.kind === 'timeout') return 'the LangGraph server did not answer in time'
  if (error.status === undefined) return 'the LangGraph server cannot be reached'
  return error.status >= 500 ? `the LangGraph server answers ${error.status}` : undefined
}
