import type { RunnableConfig } from '@langchain/core/runnables'
import {
  BaseCheckpointSaver, WRITES_IDX_MAP, type ChannelVersions, type Checkpoint, type CheckpointListOptions, type CheckpointMetadata,
  type CheckpointTuple, type PendingWrite
} from '@langchain/langgraph-checkpoint'
import type { Tracer } from '@opentelemetry/api'
import { formatConfig, readPlace } from '../checkpoints/config.ts'
import { draftCheckpoint, type Draft } from '../checkpoints/draft.ts'
import { Flights } from '../checkpoints/flights.ts'
import { ItemMemory, type ItemMemoryOptions, type ThreadItems } from '../checkpoints/item-memory.ts'
import { hasOpenDeltas } from '../checkpoints/metadata.ts'
import type { PruneOptions } from '../checkpoints/saver.ts'
import { SafeSerializer } from '../checkpoints/serializer.ts'
import { markEnded, traceWrite } from '../conversation-write.ts'
import { Prunes } from './prunes.ts'
import { ThreadReading } from './reading.ts'
import { dropChannels, RefDraft } from './ref-draft.ts'
import type { NewRedisCheckpoint, RedisThreads } from './threads.ts'

/** What is known of a checkpoint beside what is in it. */
type Heading = Pick<NewRedisCheckpoint, 'key' | 'parentId' | 'needsParents'>

/** How a saver is set up. */
export interface RedisSaverOptions {
  readonly tracer?: Tracer | undefined
  /** What is remembered of the threads used last; `maxBytes: 0` remembers nothing. */
  readonly memory?: ItemMemoryOptions
}

/**
 * LangGraph's checkpoints in Redis (7 or newer, no modules), by thread.
 *
 * *Promise.* As `ThreadSaver`: what was put is the state at the call; the newest checkpoint of a thread is the one that was put last, by a number of
 * the server's, whatever the clock of the replica that wrote it says; an item of a list is written once. A write is one step with the check of the
 * lease under which it was asked for, and as durable as the server's `appendfsync` makes it when it resolves.
 *
 * LangGraph's own RedisSaver can promise none of this on any server: it takes several commands for a put and none of them can check a lease, it takes
 * the largest id for the newest checkpoint, which is the time of the writer's clock, it writes values past the serializer, and it looks through all
 * keys of the server (`KEYS`) for those of one thread. It wants modules, besides.
 *
 * Items of lists lie apart from the checkpoints, by content. At 1000 messages, a turn (two reads and a put) took 112 ms of CPU and 396 kB of the
 * server's log with whole checkpoints; it takes 12 ms and 25 kB apart, and 82 ms on a replica that sees the thread for the first time. At 100
 * messages it was 10 ms and 40 kB, and is 4 ms and 6 kB.
 *
 * *Not promised.* As `ThreadSaver`. That a checkpoint which is put again under its id gives back at once what it alone held.
 */
export class RedisSaver extends BaseCheckpointSaver {
  readonly #threads: RedisThreads
  readonly #tracer: Tracer | undefined
  readonly #memory: ItemMemory<string>
  readonly #reading: ThreadReading
  readonly #puts = new Flights()
  readonly #prunes = new Prunes()

  constructor (threads: RedisThreads, { tracer, memory = { maxThreads: 500, maxBytes: 64 * 1024 * 1024 } }: RedisSaverOptions = {}) {
    super(new SafeSerializer())
    this.#threads = threads
    this.#tracer = tracer
    this.#memory = new ItemMemory(memory)
    this.#reading = new ThreadReading({ threads, serde: this.serde, memory: this.#memory })
  }

  override async getTuple (config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    return await this.#reading.getTuple(config)
  }

  /** Newest first. */
  override list (config: RunnableConfig, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    return this.#reading.list(config, options)
  }

  override async put (
    config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, newVersions?: ChannelVersions
  ): Promise<RunnableConfig> {
    const place = readPlace(config)
    const items = this.#memory.open(place.threadId)
    // Nothing may be awaited before this: the graph goes on, and changes what it has put.
    const drafting = draftCheckpoint(this.serde, items, checkpoint, metadata, () => true)
    const old = Object.keys(checkpoint.channel_versions).filter(channel => newVersions !== undefined && !(channel in newVersions))
    const isAlone = place.checkpointId === undefined && old.length > 0
    const chosen = isAlone ? this.#dropUnknown(place.threadId, place.namespace, old, drafting) : drafting
    const heading = {
      key: [place.threadId, place.namespace, checkpoint.id] as const,
      parentId: place.checkpointId,
      needsParents: hasOpenDeltas(metadata)
    }
    await traceWrite(this.#tracer, async () => await this.#puts.add(place.threadId, this.#commit(heading, chosen, items)))
    return formatConfig(place.threadId, place.namespace, checkpoint.id)
  }

  override async putWrites (config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath = ''): Promise<void> {
    const { threadId, namespace, checkpointId } = readPlace(config)
    if (checkpointId === undefined) throw new TypeError('Writes need a checkpoint: config.configurable.checkpoint_id is missing')
    const marked = markEnded(writes, taskId)
    const rows = Promise.all(marked.map(async ([channel, value], index) => {
      const [type, text] = await this.serde.dumpsTyped(value)
      return { index: WRITES_IDX_MAP[channel] ?? index, channel, type, value: text }
    }))
    const isReplacing = marked.every(([channel]) => channel in WRITES_IDX_MAP)
    await traceWrite(this.#tracer, async () =>
      await this.#threads.putWrites([threadId, namespace, checkpointId], taskId, taskPath, await rows, isReplacing))
  }

  /** Removes a thread and all its checkpoints, also one that cannot be read; puts that are under way come first. */
  override async deleteThread (threadId: string): Promise<void> {
    await this.#puts.settle(threadId)
    this.#memory.drop(threadId)
    this.#prunes.forget(threadId)
    await this.#threads.delete(threadId)
  }

  /** See `ThreadSaver.prune`: it is done along with the next checkpoint that this replica puts. */
  prune (threadId: string, { isResting }: PruneOptions): void {
    this.#prunes.ask(threadId, isResting)
  }

  /** Prunes nothing by numbers that were read over a connection which is gone: the server may have lost them, and give them again. */
  forgetNumbers (): void {
    this.#prunes.clear()
  }

  async #commit (heading: Heading, drafting: Promise<Draft<string>>, items: ThreadItems<string>): Promise<void> {
    const [threadId] = heading.key
    try {
      const draft = new RefDraft(await drafting)
      const checkpoint = { ...heading, body: draft.body, metadata: draft.metadata, lists: draft.lists }
      // Another put that is under way may refer to items that would go.
      const prune = this.#puts.count(threadId) === 1 ? this.#prunes.find(threadId) : undefined
      const first = await this.#threads.put(checkpoint, draft.items, prune)
      const { seq, missing } = first.missing.length === 0
        ? first
        : await this.#threads.put(checkpoint, await draft.completeItems(this.serde, first.missing), prune)
      if (missing.length > 0) throw new Error('An item of a list was not written')
      this.#prunes.end(threadId, prune)
      this.#prunes.notePut(threadId, seq)
      draft.keepLive(items)
      this.#memory.trim()
    } catch (error) {
      this.#memory.drop(threadId)
      throw error
    }
  }

  /** Takes out of a first checkpoint what, by its version, was written before, and never was. */
  async #dropUnknown (threadId: string, namespace: string, old: readonly string[], drafting: Promise<Draft<string>>): Promise<Draft<string>> {
    const [draft, known] = await Promise.all([drafting, this.#reading.listChannels(threadId, namespace)])
    return dropChannels(draft, old.filter(channel => !known.has(channel)))
  }
}
