import type { StateSnapshot } from '@langchain/langgraph'
import { ServiceError } from '../errors.ts'
import type { AgentEvent, Message } from './agent.ts'
import { isStorageError, rethrowAsServiceError } from './disk-error.ts'
import { describeReply } from './events.ts'
import type { Graph } from './graph.ts'
import { formatMessage, readMessages } from './messages.ts'
import { haveResults } from './tool-results.ts'
import { findWaiting, type Waiting } from './waiting.ts'

/**
 * What the threads of a graph hold, for callers that know messages and questions and no checkpoints.
 *
 * *Promise.* Changes nothing. A thread that cannot be read throws CONVERSATION_UNREADABLE, a disk that fails CONVERSATIONS_UNAVAILABLE.
 */
export class ThreadReader {
  readonly #graph: Graph

  constructor (graph: Graph) {
    this.#graph = graph
  }

  /** The newest state of a thread. */
  async readState (threadId: string): Promise<StateSnapshot> {
    try {
      return await this.#graph.getState({ configurable: { thread_id: threadId } })
    } catch (error) {
      if (isStorageError(error)) return rethrowAsServiceError(error)
      throw new ServiceError('CONVERSATION_UNREADABLE', { cause: error })
    }
  }

  /** What a thread waits with; undefined if it does not. */
  async findWaiting (threadId: string): Promise<Waiting | undefined> {
    return await this.#findWaitingIn(await this.readState(threadId))
  }

  /** See `Agent.findReply`. */
  async findReply (threadId: string, messageId: string): Promise<AgentEvent | undefined> {
    const snapshot = await this.readState(threadId)
    const isEnded = snapshot.next.length === 0
    const waiting = await this.#findWaitingIn(snapshot)
    return describeReply(readMessages(snapshot.values), messageId, waiting?.question, isEnded)
  }

  /** See `Agent.haveResults`. */
  async haveResults (threadId: string, toolCallIds: readonly string[]): Promise<boolean> {
    const { values, metadata, next } = await this.readState(threadId)
    // What is no tool call took effect if the run came to its end by itself, and was not repaired.
    if (toolCallIds.includes('') && (next.length > 0 || metadata?.source !== 'loop')) return false
    return haveResults(readMessages(values), toolCallIds.filter(id => id !== ''))
  }

  /** See `Agent.history`. */
  async history (threadId: string): Promise<Message[]> {
    const snapshot = await this.readState(threadId)
    return readMessages(snapshot.values).flatMap((message, index) => {
      const described = formatMessage(message)
      if (described === undefined) return []
      // Graphs that only append give some of their messages no id.
      return described.id === '' ? { ...described, id: `message-${index}` } : described
    })
  }

  async #findWaitingIn (snapshot: StateSnapshot): Promise<Waiting | undefined> {
    return await findWaiting(this.#graph, snapshot).catch(rethrowAsServiceError)
  }
}
