import type { TurnLease } from '../../turn-lease.ts'
import type { LockOptions } from '../store.ts'

/** The turns of sessions, over all replicas. */
export interface TurnQueue {
  enter (sessionId: string, options?: LockOptions): Promise<{
    readonly lease: TurnLease
    /** The session as a row of `SESSION_COLUMNS`; undefined if there is none. */
    readonly row: unknown
    release (wasInterrupted?: boolean): Promise<void>
  }>
  interrupt (sessionId: string): Promise<boolean>
}
