import type { ConversationSums } from './agent/move/conversations.ts'
import { isSameSum, type Sum } from './checksum.ts'
import type { MovePlace } from './move-place.ts'

/** What is moved, and what is in the target in the end. */
export interface MovedSessions {
  readonly source: Sum
  /** None in a dry run. */
  readonly target?: Sum
  /** Sessions that were there already, and equal. */
  readonly skipped: number
}

/** Like `MovedSessions`, of conversations. */
export interface MovedConversations {
  readonly from: string
  readonly to: string
  readonly source: ConversationSums
  readonly target?: ConversationSums
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
  /** Whether all that was read in the source was found in the target, and nothing else. */
  readonly isVerified: boolean
  /** What an operator ought to know. */
  readonly notes: readonly string[]
}

type Place = Pick<MovePlace, 'conversationsName'>

/** Names of threads that are told at most. */
const MAX_NAMED = 10

export function isSameConversations ({ source, target }: MovedConversations): boolean {
  return target !== undefined && target.threads === source.threads && target.unreadable.length === 0 &&
    isSameSum(source.checkpoints, target.checkpoints) && isSameSum(source.notes, target.notes)
}

/** What stays behind, and what else there is to know. */
export function * listNotes ({ conversations }: Pick<MoveReport, 'conversations'>, source: Place, target: Place): Generator<string> {
  if (source.conversationsName === target.conversationsName) {
    yield `The conversations stay where they are, in ${source.conversationsName}: both find them there`
  } else if (conversations === undefined) {
    yield `There are no conversations in ${source.conversationsName}: those of a graph with a checkpointer of its own, or of a LangGraph server, stay with it`
  } else {
    const { unreadable, left } = conversations.source
    if (unreadable.length > 0) {
      const more = unreadable.length > MAX_NAMED ? ', …' : ''
      yield `Conversations that cannot be read and stay behind: ${unreadable.length} (threads ${unreadable.slice(0, MAX_NAMED).join(', ')}${more})`
    }
    if (left > 0) yield `Earlier states of conversations that stay behind, since nothing needs them any more: ${left}`
  }
}
