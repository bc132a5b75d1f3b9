import type { AgentEvent } from './agent/agent.ts'
import type { SessionReference } from './errors.ts'
import type { MessageKey } from './message-key.ts'

/** Who asks for a turn, and follows it. */
export interface TurnAsker {
  /** What makes a repeat of the request known. */
  readonly key?: MessageKey | undefined
  readonly watch?: TurnWatch | undefined
  /** Whether words of theirs may decide a question; they may if not given. */
  readonly mayDecide?: boolean
}

/** Somebody who follows a turn as it runs. */
export interface TurnWatch {
  /** Whether `token` events are of use. */
  readonly wantsTokens: boolean
  /** The message has its place in the queue. */
  accept (): void
  /** The agent is about to be run; `preface` is what the message will begin with, before the agent's own words. */
  began (session: SessionReference, preface: string): void
  happened (event: AgentEvent): void
}
