import type { BaseCheckpointSaver, BaseStore } from '@langchain/langgraph-checkpoint'
import type { ThreadKeeper } from './graph.ts'
import type { WritePlaces } from './placed-writes.ts'

/** Where conversations are kept: LangGraph's checkpoints by thread, and beside them what the agent remembers about a person. */
export interface Conversations extends ThreadKeeper {
  readonly checkpointer: BaseCheckpointSaver
  readonly notes: BaseStore
  readonly writes: WritePlaces
  /** Safe to call twice. */
  close (): Promise<void>
}

/** Opens what keeps the conversations, once an agent is chosen that needs it. Throws FILE_LOCKED, FILE_INVALID or SETTING_INVALID. */
export type OpenConversations = () => Promise<Conversations>
