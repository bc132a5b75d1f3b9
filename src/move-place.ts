import type { Conversations } from './agent/conversations.ts'
import type { SessionPlace } from './sessions/move/place.ts'

/** A place that sessions and conversations are moved from, or to, while nobody else works with it. */
export interface MovePlace {
  readonly name: string
  readonly sessions: SessionPlace
  /** What an operator ought to know about it, once it was read. */
  readonly notes: readonly string[]
  /** Where the conversations are, without a secret: of two places that have them in one, none are moved. */
  readonly conversationsName: string
  /** To be called once; undefined if there are none. */
  openConversations (): Promise<Conversations | undefined>
  /** Lets go of the place. */
  close (): Promise<void>
}

/** A target that nothing is written to; without sessions if their tables are yet to be made. */
export type LookedAtPlace = Pick<MovePlace, 'name' | 'notes' | 'conversationsName' | 'close'> & { readonly sessions: SessionPlace | undefined }
