import type { AgentStatus, ThreadActivity } from './agent.ts'
import { isObject } from './compiled-graph.ts'
import type { ThreadKeeper } from './graph.ts'

/** What of a graph's own checkpointer is used beside the graph. */
export interface OwnSaver {
  /** Savers of older versions have none. */
  readonly deleteThread?: unknown
}

/** The checkpointer that a graph brings along; undefined if it brings none (`true` and `false` are words for a graph within another one). */
export function readOwnSaver (checkpointer: unknown): OwnSaver | undefined {
  return isObject(checkpointer) && typeof checkpointer.getTuple === 'function' ? checkpointer : undefined
}

/** Whether a saver forgets everything when the process ends. */
export function isInMemory (saver: OwnSaver): boolean {
  return ['MemorySaver', 'InMemorySaver'].includes(saver.constructor.name)
}

/** Whether a saver can remove a thread. */
export function canForget (saver: OwnSaver): boolean {
  return typeof saver.deleteThread === 'function'
}

/**
 * The threads of a graph that brings its own checkpointer.
 *
 * *Not promised.* A list of them, since no checkpointer gives one: a thread that no session refers to stays until its owner removes it.
 */
export class OwnThreads implements ThreadKeeper {
  /** It is nobody's but the graph's: we never see its disk fail. */
  readonly epoch = 0
  readonly isShared: boolean
  readonly #saver: OwnSaver

  constructor (saver: OwnSaver, isShared: boolean) {
    this.#saver = saver
    this.isShared = isShared
  }

  status (): AgentStatus {
    return { canSave: true }
  }

  async deleteThread (threadId: string): Promise<void> {
    const { deleteThread } = this.#saver
    if (typeof deleteThread === 'function') await Reflect.apply(deleteThread, this.#saver, [threadId])
  }

  /** What a saver of the graph's keeps is its own affair. */
  async prune (): Promise<void> {}

  async listThreads (): Promise<ThreadActivity[]> {
    return []
  }
}
