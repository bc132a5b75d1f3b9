import type { RunnableConfig } from '@langchain/core/runnables'
import {
  BaseCheckpointSaver, type ChannelVersions, type Checkpoint, type CheckpointListOptions, type CheckpointMetadata, type CheckpointTuple,
  type PendingWrite
} from '@langchain/langgraph-checkpoint'
import type { Tracer } from '@opentelemetry/api'
import type { PruneOptions } from './checkpoints/saver.ts'
import { markEnded, traceWrite } from './conversation-write.ts'
import type { ConversationDatabase } from './database.ts'
import type { Reopening } from './reopening.ts'

/** LangGraph's checkpoints in the file as it is open now: a graph keeps its checkpointer for life, a connection may not live as long. */
export class FileSaver extends BaseCheckpointSaver {
  readonly #file: Reopening<ConversationDatabase>
  readonly #tracer: Tracer | undefined

  constructor (file: Reopening<ConversationDatabase>, tracer?: Tracer) {
    super()
    this.#file = file
    this.#tracer = tracer
  }

  override async getTuple (config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    return await this.#file.use(({ checkpoints }) => checkpoints.getTuple(config))
  }

  override list (config: RunnableConfig, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    return this.#file.iterate(({ checkpoints }) => checkpoints.list(config, options))
  }

  override async put (
    config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, newVersions?: ChannelVersions
  ): Promise<RunnableConfig> {
    return await traceWrite(this.#tracer, async () =>
      await this.#file.use(({ checkpoints }) => checkpoints.put(config, checkpoint, metadata, newVersions)))
  }

  override async putWrites (config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath?: string): Promise<void> {
    await traceWrite(this.#tracer, async () =>
      await this.#file.use(({ checkpoints }) => checkpoints.putWrites(config, markEnded(writes, taskId), taskId, taskPath)))
  }

  override async deleteThread (threadId: string): Promise<void> {
    await this.#file.use(({ checkpoints }) => checkpoints.deleteThread(threadId))
  }

  /** Lets a thread lose what is superfluous along with its next checkpoint; see `ThreadSaver.prune`. */
  async prune (threadId: string, options: PruneOptions): Promise<void> {
    await this.#file.use(async ({ checkpoints }) => { checkpoints.prune(threadId, options) })
  }
}
