import type { SessionReference } from './errors.ts'
import type { TurnEvent } from './turn-events.ts'

/** Whose turn it is: who may read it. */
export interface LoggedTurn {
  readonly session: SessionReference
  readonly clientId: string
}

/** What is found of a turn. */
export interface TurnLogPart extends LoggedTurn {
  /** Those after the position that was asked for, in order. */
  readonly events: readonly TurnEvent[]
  /** Whether more may come: a replica holds the lease under which it runs. */
  readonly isRunning: boolean
}

/** The events of streamed turns, for replicas that do not run them: a client that lost its line may come back to any. */
export interface TurnLog {
  /** Adds events of a turn that runs under a lease. A failure costs a reconnect elsewhere, never the turn. */
  append (turnId: string, turn: LoggedTurn & { readonly leaseId: string }, events: readonly TurnEvent[]): Promise<void>
  /** What is there after a position; undefined if the turn is not known, or not any more. */
  read (turnId: string, afterPosition: number): Promise<TurnLogPart | undefined>
  /** Calls `wake` whenever there may be more to read, and now and then anyway, until the function that it returns is called. */
  follow (turnId: string, wake: () => void): () => void
  /** Lets go of all turns of these sessions. */
  forget (sessionIds: readonly string[]): Promise<void>
}
