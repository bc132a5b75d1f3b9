import type { Decision, Usage } from './agent/agent.ts'
import type { Route } from './decision-log.ts'
import type { ErrorCode } from './errors.ts'

/** What a turn came to; `refused`: it did not fit (a status below 500), `failed`: it should have worked. */
export type TurnOutcome = 'completed' | 'waiting_approval' | 'replayed' | 'cancelled' | 'refused' | 'failed'

/** How a turn came. */
export type TurnRoute = Exclude<Route, 'timeout'>

/** How a turn ended, also one that was refused before it began. */
export interface TurnEnd {
  readonly route: TurnRoute
  readonly outcome: TurnOutcome
  /** Of the error that ended it. */
  readonly code: ErrorCode | undefined
  /** From its arrival to the moment that it was its turn, or to its end if that never came. */
  readonly waitedMs: number
  /** From the moment that it was its turn; undefined if that never came. */
  readonly durationMs: number | undefined
  readonly model: string | undefined
  readonly usage: Usage | undefined
}

/** Told of what happens to turns, questions and sessions, by whoever counts it. Its methods are quick and throw nothing. */
export interface TurnObserver {
  ended (turn: TurnEnd): void
  /** A question was put to a person. */
  asked (): void
  /** A question was answered, with one decision for each action, or nobody answered it in time. */
  decided (decisions: readonly Decision[], route: Route): void
  /** A session ended otherwise than by silence. */
  removed (reason: 'deleted' | 'new'): void
}

/** For conversations that nobody counts. */
export const UNOBSERVED: TurnObserver = { ended () {}, asked () {}, decided () {}, removed () {} }
