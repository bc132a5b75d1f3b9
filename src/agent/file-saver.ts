import type { RunnableConfig } from '@langchain/core/runnables'
import {
  BaseCheckpointSaver, type ChannelVersions, type Checkpoint, type CheckpointListOptions, type CheckpointMetadata, type CheckpointTuple,
  type PendingWrite
} from '@langchain/langgraph-checkpoint'
import type { Tracer } from '@opentelemetry/api'
import { withSpan } from '../trace.ts'
import type { PruneOptions } from './checkpoints/saver.ts'
import type { ConversationDatabase } from './database.ts'
import type { Reopening } from './reopening.ts'

/** LangGraph's name for the task that is none: what is written to a thread from outside. */
const NO_TASK = '00000000-0000-0000-0000-000000000000'

/** How a write is called in a trace: it ends when it is durable. */
const WRITE = { name: 'conversation write' }

/** LangGraph's mark of a task that ended with nothing to write. */
const NO_WRITES = '__no_writes__'

/**
 * LangGraph's checkpoints in the file as it is open now: a graph keeps its checkpointer for life, a connection may not live as long.
 *
 * A task that had an answer and ended with nothing to write gets LangGraph's mark for that, which LangGraph itself sets only where there was no
 * answer either: without it, the task would run again, and do again what it did, as soon as another one beside it has its answer.
 */
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
    return await withSpan(this.#tracer, WRITE, async () =>
      await this.#file.use(({ checkpoints }) => checkpoints.put(config, checkpoint, metadata, newVersions)))
  }

  override async putWrites (config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath?: string): Promise<void> {
    const hasEnded = taskId !== NO_TASK && writes.length > 0 && writes.every(([channel]) => channel === '__resume__')
    const marked: PendingWrite[] = hasEnded ? [...writes, [NO_WRITES, null]] : writes
    await withSpan(this.#tracer, WRITE, async () =>
      await this.#file.use(({ checkpoints }) => checkpoints.putWrites(config, marked, taskId, taskPath)))
  }

  override async deleteThread (threadId: string): Promise<void> {
    await this.#file.use(({ checkpoints }) => checkpoints.deleteThread(threadId))
  }

  /** Lets a thread lose what is superfluous along with its next checkpoint; see `ThreadSaver.prune`. */
  async prune (threadId: string, options: PruneOptions): Promise<void> {
    await this.#file.use(async ({ checkpoints }) => { checkpoints.prune(threadId, options) })
  }
}
