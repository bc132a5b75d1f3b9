import { setTimeout as pause } from 'node:timers/promises'
import type { HeldLease } from '../held-lease.ts'
import type { Log } from '../log.ts'
import type { PostgresClock } from './clock.ts'
import { explainPostgresError } from './errors.ts'
import type { LeaseStates, TurnStatements } from './turn-statements.ts'

/** What leases are renewed with. */
export interface TurnRenewalsOptions {
  readonly statements: Pick<TurnStatements, 'renew' | 'find' | 'dropRemains'>
  readonly clock: Pick<PostgresClock, 'sync'>
  readonly log: Log
  /** The time between two renewals. */
  readonly everyMs: number
  readonly dropRemainsEveryMs?: number
}

/** After a failure, or an answer that does not come: this part of the usual time. */
const HURRY = 1 / 4

/**
 * Keeps the leases of a replica alive, those of turns that run and of turns that wait, all in one statement, which also tells what became of them:
 * one that is gone is lost, one whose turn was asked to end is cancelled.
 *
 * *Promise.* An answer that does not come keeps no later renewal from being sent. No timer without a lease.
 */
export class TurnRenewals {
  readonly #options: Required<TurnRenewalsOptions>
  readonly #leases = new Map<string, HeldLease>()
  readonly #end = new AbortController()
  #isBeating = false
  #isFailing = false
  #looking: Promise<void> | undefined
  #shallLookAgain = false
  #remainsDroppedAtMs = performance.now()

  constructor (options: TurnRenewalsOptions) {
    this.#options = { dropRemainsEveryMs: 60_000, ...options }
  }

  /** From when the server knows it. */
  add (lease: HeldLease): void {
    this.#leases.set(lease.id, lease)
    if (!this.#isBeating) this.#beat()
  }

  delete (lease: HeldLease): void {
    this.#leases.delete(lease.id)
  }

  /** Finds out at once what became of the leases; asked again meanwhile, once more. */
  look (): void {
    this.#shallLookAgain = true
    this.#looking ??= this.#lookWhileAsked().finally(() => { this.#looking = undefined })
  }

  /** Renews nothing any more. */
  async close (): Promise<void> {
    this.#end.abort()
    this.#leases.clear()
    await this.#looking
  }

  async #beat (): Promise<void> {
    const { everyMs } = this.#options
    this.#isBeating = true
    let isInTime = true
    while (await this.#pause(everyMs * (isInTime ? 1 : HURRY))) {
      if (this.#leases.size === 0) break
      isInTime = await Promise.race([this.#renew(), this.#pause(everyMs).then(() => false)])
    }
    this.#isBeating = false
  }

  async #renew (): Promise<boolean> {
    const { statements, clock, log } = this.#options
    // One that is lost is left to end: the next turn is not to wait for whatever does not stop.
    const leases = [...this.#leases.values()].filter(isGood)
    const sentAtMs = performance.now()
    try {
      const states = await statements.renew(leases.map(({ id }) => id))
      clock.sync(states.nowMs, sentAtMs)
      this.#take(leases, states, sentAtMs)
      await this.#dropRemains()
      if (this.#isFailing) log.info({}, 'The turns under way are renewed in Postgres again')
      this.#isFailing = false
      return true
    } catch (error) {
      if (!this.#isFailing && !this.#end.signal.aborted) log.warn({ err: error }, `The turns under way could not be renewed in Postgres: ${explainPostgresError(error)}; they are given up unless that works soon`)
      this.#isFailing = true
      return false
    }
  }

  #take (leases: readonly HeldLease[], { renewed, known, cancelled }: LeaseStates, sentAtMs: number): void {
    // One that was let go of meanwhile is not known, rightly.
    for (const lease of leases.filter(({ id }) => this.#leases.has(id))) {
      if (cancelled.has(lease.id)) lease.cancel()
      if (renewed.has(lease.id)) lease.renew(sentAtMs)
      else if (!known.has(lease.id)) lease.lose()
    }
  }

  async #dropRemains (): Promise<void> {
    if (performance.now() - this.#remainsDroppedAtMs < this.#options.dropRemainsEveryMs) return
    this.#remainsDroppedAtMs = performance.now()
    await this.#options.statements.dropRemains()
  }

  async #lookWhileAsked (): Promise<void> {
    while (this.#shallLookAgain && this.#leases.size > 0) {
      this.#shallLookAgain = false
      const leases = [...this.#leases.values()]
      try {
        this.#take(leases, await this.#options.statements.find(leases.map(({ id }) => id)), 0)
      } catch {
        // The next renewal tells the same, and says why it cannot.
        return
      }
    }
  }

  /** False if it was ended. */
  async #pause (ms: number): Promise<boolean> {
    return await pause(ms, true, { ref: false, signal: this.#end.signal }).catch(() => false)
  }
}

function isGood (lease: HeldLease): boolean {
  try {
    lease.check()
    return true
  } catch {
    return false
  }
}
