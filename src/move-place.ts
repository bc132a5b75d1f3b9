import type { MovedClock } from './agent/move/clock.ts'
import type { Conversations } from './agent/conversations.ts'
import type { FileOperations } from './sessions/csv/files.ts'
import type { SessionPlace } from './sessions/move/place.ts'

/** A place that sessions and conversations are moved from, or to, while nobody else works with it. */
export interface MovePlace {
  readonly name: string
  readonly sessions: SessionPlace
  /** Where the conversations are, without a secret: of two places that have them in one, none are moved. */
  readonly conversationsName: string
  /** To be called once; undefined if there are none. */
  openConversations (): Promise<Conversations | undefined>
  /** Waits for what is under way. */
  close (): Promise<void>
}

/** How a place is opened. */
export interface MovePlaceOptions {
  /** A source is only read, and has to be there. */
  readonly role: 'source' | 'target'
  readonly clock: MovedClock
  readonly files: FileOperations
}
