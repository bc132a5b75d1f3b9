import { setTimeout as pause } from 'node:timers/promises'
import type { Log } from '../log.ts'
import { explainPostgresError } from './errors.ts'
import type { PostgresEvents } from './events.ts'
import type { TurnStatements } from './turn-statements.ts'

/** How turns are let go of. */
export interface TurnDeparturesOptions {
  readonly statements: Pick<TurnStatements, 'leave'>
  readonly events: Pick<PostgresEvents, 'wakeHere'>
  readonly log: Log
  /** No lease lives longer than that by itself. */
  readonly ttlMs: number
  readonly retryMs: number
}

/** A lease that the server may still have. */
interface Departure {
  readonly leaseId: string
  readonly wasInterrupted: boolean
  /** When the server has let go of it by itself. */
  readonly untilMs: number
  readonly done: () => void
}

/**
 * Lets go of leases, again and again where the server does not answer, until they have ended by themselves.
 *
 * *Promise.* Never rejects. However many are to be let go of, those that failed once are tried one at a time.
 */
export class TurnDepartures {
  readonly #options: TurnDeparturesOptions
  readonly #late = new Set<Departure>()
  readonly #end = new AbortController()
  #isRetrying = false

  constructor (options: TurnDeparturesOptions) {
    this.#options = options
  }

  /** Resolves when the lease is gone, at the latest when it has ended by itself. */
  async leave (leaseId: string, wasInterrupted: boolean): Promise<void> {
    await this.#waitFor(this.#attempt(leaseId, wasInterrupted))
  }

  /** The same, of a lease that the server did not answer about a moment ago. */
  async leaveLater (leaseId: string, wasInterrupted: boolean): Promise<void> {
    if (this.#end.signal.aborted) return
    const untilMs = performance.now() + this.#options.ttlMs
    await this.#waitFor(new Promise<void>(resolve => {
      this.#late.add({ leaseId, wasInterrupted, untilMs, done: resolve })
      if (!this.#isRetrying) this.#retry()
    }))
  }

  /** Tries nothing a second time any more: leases end by themselves. */
  giveUp (): void {
    this.#end.abort()
    for (const departure of this.#late) this.#finish(departure)
  }

  async #attempt (leaseId: string, wasInterrupted: boolean): Promise<void> {
    const { log } = this.#options
    try {
      await this.#tell(leaseId, wasInterrupted)
    } catch (error) {
      log.warn({ err: error }, `The end of a turn could not be told to Postgres: ${explainPostgresError(error)}; the next one of its session begins when that works, or when the lease ends`)
      await this.leaveLater(leaseId, wasInterrupted)
    }
  }

  async #tell (leaseId: string, wasInterrupted: boolean): Promise<void> {
    const { statements, events } = this.#options
    const next = await statements.leave(leaseId, wasInterrupted)
    if (next !== undefined) events.wakeHere(`lease:${next}`)
  }

  async #retry (): Promise<void> {
    const { retryMs } = this.#options
    this.#isRetrying = true
    while (this.#late.size > 0 && !this.#end.signal.aborted) {
      await pause(retryMs, undefined, { ref: false, signal: this.#end.signal }).catch(() => {})
      try {
        for (const departure of this.#late) {
          if (performance.now() < departure.untilMs) await this.#tell(departure.leaseId, departure.wasInterrupted)
          this.#finish(departure)
        }
      } catch {
        // It still does not answer.
      }
    }
    this.#isRetrying = false
  }

  async #waitFor (work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const end = new Promise<void>(resolve => {
      timer = setTimeout(resolve, this.#options.ttlMs)
      timer.unref()
    })
    await Promise.race([work, end])
    clearTimeout(timer)
  }

  #finish (departure: Departure): void {
    this.#late.delete(departure)
    departure.done()
  }
}
