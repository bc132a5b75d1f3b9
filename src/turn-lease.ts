import { AsyncLocalStorage } from 'node:async_hooks'
import { ServiceError } from './errors.ts'

/**
 * The right to run a turn of one session, for a time: whoever holds it renews it, and loses it to the next one when that does not come about.
 *
 * *Promise.* Two leases of one session are never good at the same time, by the clock of the engine that keeps them. What is written under a lease is
 * written in one step with the check of it.
 */
export interface TurnLease {
  /** A UUID: what writes are checked by. */
  readonly id: string
  /** Aborted with TURN_TAKEN_OVER when the lease is lost, with TURN_CANCELLED when another replica asked for the turn to end. */
  readonly signal: AbortSignal
  /**
   * Throws TURN_TAKEN_OVER if the lease may be lost, by this machine's monotonic clock: to be asked, at once, before what cannot be checked by the
   * engine, such as a tool.
   */
  check (): void
}

const leases = new AsyncLocalStorage<TurnLease | undefined>()

/** Runs a turn under its lease: all that it writes, however deep down, is checked by it. */
export function runUnderLease<T> (lease: TurnLease | undefined, run: () => T): T {
  return leases.run(lease, run)
}

/** The lease of the turn that runs here; undefined outside of turns, and where nobody else could take one over. */
export function currentLease (): TurnLease | undefined {
  return leases.getStore()
}

/** Whether this is what ends a turn whose lease is lost. */
export function isTakenOver (reason: unknown): reason is ServiceError {
  return reason instanceof ServiceError && reason.code === 'TURN_TAKEN_OVER'
}

/** Why a turn is cut off, if its lease is lost: then whatever else it failed with comes from that. */
export function findLoss (lease: TurnLease | undefined): ServiceError | undefined {
  const reason: unknown = lease?.signal.reason
  return isTakenOver(reason) ? reason : undefined
}
