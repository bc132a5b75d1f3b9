import type { Tracer } from '@opentelemetry/api'
import type { RedisConnection } from '../../redis/client.ts'
import type { AgentStatus, ThreadActivity } from '../agent.ts'
import type { PruneOptions } from '../checkpoints/saver.ts'
import type { Conversations } from '../conversations.ts'
import type { WritePlaces } from '../placed-writes.ts'
import { RedisNotes } from './notes.ts'
import { RedisSaver } from './saver.ts'
import { RedisThreads } from './threads.ts'
import { RedisWrites } from './writes.ts'

/** With which server, which is open already. */
export interface RedisConversationsOptions {
  readonly connection: RedisConnection
  readonly now: () => number
  /** Makes a span of each write; none without it. */
  readonly tracer?: Tracer | undefined
}

/** Opens the conversations that all replicas of the service share in Redis. */
export async function openRedisConversations (options: RedisConversationsOptions): Promise<Conversations> {
  return new RedisConversations(options)
}

/**
 * What Redis keeps of conversations: LangGraph's checkpoints by thread, and beside them what the agent remembers about a person.
 *
 * *Promise.* See `RedisSaver` and `RedisNotes`. While the server is away, or takes no changes, whoever asks gets CONVERSATIONS_UNAVAILABLE, and
 * `status` tells why; it is over by itself. The connection is its owner's to close.
 */
class RedisConversations implements Conversations {
  readonly isShared = true
  readonly checkpointer: RedisSaver
  readonly notes: RedisNotes
  readonly writes: WritePlaces
  readonly #connection: RedisConnection
  readonly #threads: RedisThreads
  #epoch = 0

  constructor ({ connection, now, tracer }: RedisConversationsOptions) {
    this.#connection = connection
    this.#threads = new RedisThreads(connection, now)
    this.checkpointer = new RedisSaver(this.#threads, { tracer })
    this.notes = new RedisNotes(connection, now)
    this.writes = new RedisWrites(this.checkpointer.serde, this.#threads)
    connection.client.on('close', this.#noteClose)
  }

  /** Another one after every loss of the connection: the server that comes back may have lost its last writes, or be another one. */
  get epoch (): number {
    return this.#epoch
  }

  status (): AgentStatus {
    return this.#connection.status()
  }

  async deleteThread (threadId: string): Promise<void> {
    await this.checkpointer.deleteThread(threadId)
  }

  async listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]> {
    return await this.#threads.list(afterThreadId, limit)
  }

  async prune (threadId: string, options: PruneOptions): Promise<void> {
    this.checkpointer.prune(threadId, options)
  }

  async close (): Promise<void> {
    this.#connection.client.off('close', this.#noteClose)
  }

  readonly #noteClose = (): void => {
    this.#epoch++
    this.checkpointer.forgetNumbers()
  }
}
