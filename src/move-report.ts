import type { ConversationMove, ConversationSums } from './agent/move/conversations.ts'
import type { Sum } from './checksum.ts'

/** What is moved, and what is in the target in the end. */
export interface MovedSessions {
  readonly source: Sum
  /** None in a dry run. */
  readonly target: Sum | undefined
  /** Sessions that were there already, and equal. */
  readonly skipped: number
}

/** Like `MovedSessions`, of conversations. */
export interface MovedConversations {
  readonly source: ConversationSums | ConversationMove
  readonly target: ConversationSums | undefined
  readonly skipped: number
}

/** What a move came to. */
export interface MoveReport {
  readonly from: string
  readonly to: string
  readonly isDryRun: boolean
  /** Whether an attempt before had begun. */
  readonly isResumed: boolean
  readonly sessions: MovedSessions
  /** None where there are none to move. */
  readonly conversations: MovedConversations | undefined
  /** Whether all that was read in the source was found in the target. */
  readonly isVerified: boolean
  /** What an operator ought to know. */
  readonly notes: readonly string[]
}

/** How far a move is. */
export interface MoveProgress {
  readonly step: 'Reading sessions' | 'Reading conversations' | 'Moving conversations' | 'Moving sessions' | 'Checking conversations' | 'Checking sessions'
  readonly done: number
  /** Undefined if that is not known. */
  readonly total: number | undefined
}
