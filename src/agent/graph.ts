import type { StateSnapshot } from '@langchain/langgraph'
import type { AgentStatus, ThreadActivity } from './agent.ts'
import type { ThreadConfig } from './thread-repair.ts'

/** What of a compiled graph is used. */
export interface Graph {
  readonly channels: Readonly<Record<string, unknown>>
  readonly nodes: Readonly<Record<string, unknown>>
  readonly checkpointer?: unknown
  /** What `stream` is made of. `stream` itself ends the moment that its signal is aborted, while the run goes on to write its checkpoint. */
  _streamIterator (input: unknown, options: object): AsyncGenerator<unknown>
  invoke (input: unknown, options: object): Promise<unknown>
  getState (config: ThreadConfig, options?: { subgraphs: boolean }): Promise<StateSnapshot>
  getStateHistory (config: ThreadConfig, options: { limit: number }): AsyncIterable<StateSnapshot>
  updateState (config: ThreadConfig, values: Record<string, unknown> | null, asNode: string): Promise<unknown>
}

/** Where a graph's threads are kept, beyond what LangGraph's checkpointers can do. */
export interface ThreadKeeper {
  deleteThread (threadId: string): Promise<void>
  listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]>
  /** Lets a thread lose what a turn that ended well made superfluous; `isResting` unless it ended with a question. Never rejects. */
  prune (threadId: string, options: { readonly isResting: boolean }): Promise<void>
  /** Whether they can be kept; see `Agent.status`. */
  status (): AgentStatus
  /** Whether other processes write to the threads, too, each under a lease: what was seen of a thread is not to be relied on in the next turn. */
  readonly isShared: boolean
  /** Another one after every failure, in which they might have been exchanged under us. */
  readonly epoch: number
}

/** How far a run may go. */
export interface RunLimits {
  /** Tool calls of one turn. */
  readonly maxToolCalls: number
  /** Steps of the graph in one turn; LangGraph's `recursionLimit`. */
  readonly maxSteps: number
}
