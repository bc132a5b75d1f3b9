import type { RunnableConfig } from '@langchain/core/runnables'

/** A write of a task beside a checkpoint, and its place among the others there. */
export interface PlacedWrite {
  readonly taskId: string
  readonly taskPath: string
  /** Among those of its task; negative for LangGraph's own marks. */
  readonly index: number
  readonly channel: string
  readonly value: unknown
}

/** What LangGraph's checkpointers do not show: the writes beside a checkpoint with the place of each, so that a thread can be moved as it is. */
export interface WritePlaces {
  /** In the order in which LangGraph applies them. */
  read (config: RunnableConfig): Promise<PlacedWrite[]>
  /** Puts them where they were; what is in that place stays. */
  put (config: RunnableConfig, writes: readonly PlacedWrite[]): Promise<void>
}
