import type { RunnableConfig } from '@langchain/core/runnables'
import {
  BaseCheckpointSaver, WRITES_IDX_MAP, type ChannelVersions, type Checkpoint, type CheckpointListOptions, type CheckpointMetadata,
  type CheckpointTuple, type PendingWrite
} from '@langchain/langgraph-checkpoint'
import type { Tracer } from '@opentelemetry/api'
import { formatConfig, readConfig, readPlace } from '../checkpoints/config.ts'
import { draftCheckpoint, type Draft } from '../checkpoints/draft.ts'
import { Flights } from '../checkpoints/flights.ts'
import { ItemMemory, type ItemMemoryOptions, type ThreadItems } from '../checkpoints/item-memory.ts'
import { hasDetails, hasOpenDeltas, isFiltering } from '../checkpoints/metadata.ts'
import { placeItems, reviveMetadata, reviveTuple } from '../checkpoints/revival.ts'
import type { PruneOptions } from '../checkpoints/saver.ts'
import { SafeSerializer } from '../checkpoints/serializer.ts'
import { markEnded, traceWrite } from '../conversation-write.ts'
import { dropChannels, RefDraft } from './ref-draft.ts'
import { Prunes } from './prunes.ts'
import type { NewRedisCheckpoint, OrderedCheckpoint, RedisCheckpoint, RedisThreads } from './threads.ts'

/** Reads of a checkpoint from which another replica took items away before they were read. */
const MAX_READS = 3

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
 * Items of lists lie apart from the checkpoints, by content, since a checkpoint that holds its messages is what a turn costs once a conversation is
 * long. FIGURES
 *
 * *Not promised.* As `ThreadSaver`. That a checkpoint which is put again under its id gives back at once what it alone held.
 */
export class RedisSaver extends BaseCheckpointSaver {
  readonly #threads: RedisThreads
  readonly #tracer: Tracer | undefined
  readonly #memory: ItemMemory<string>
  readonly #puts = new Flights()
  readonly #prunes = new Prunes()

  constructor (threads: RedisThreads, { tracer, memory = { maxThreads: 500, maxBytes: 64 * 1024 * 1024 } }: RedisSaverOptions = {}) {
    super(new SafeSerializer())
    this.#threads = threads
    this.#tracer = tracer
    this.#memory = new ItemMemory(memory)
  }

  override async getTuple (config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const { threadId, namespace = '', checkpointId } = readConfig(config)
    if (threadId === undefined) return undefined
    const read = async () => await this.#threads.read(threadId, namespace, checkpointId)
    const found = await read()
    return found === undefined ? undefined : await this.#revive(found, read)
  }

  /** Newest first. */
  override async * list (config: RunnableConfig, { limit, before, filter }: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
    const bound = readConfig(before)
    const { threadId, namespace, checkpointId } = readConfig(config)
    const ordered = await this.#order(threadId)
    const isBefore = bound.checkpointId === undefined ? undefined : await this.#findBound(bound.threadId ?? threadId, bound.checkpointId)
    let left = limit ?? Infinity
    for (const place of ordered) {
      if (left <= 0) return
      if (isBefore?.(place) === false || (namespace ?? place.key[1]) !== place.key[1] || (checkpointId ?? place.key[2]) !== place.key[2]) continue
      const read = async () => await this.#threads.read(...place.key)
      const found = await read()
      if (found === undefined || (isFiltering(filter) && !hasDetails(await reviveMetadata(this.serde, found.row), filter))) continue
      const tuple = await this.#revive(found, read)
      if (tuple === undefined) continue
      left--
      yield tuple
    }
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
    const [draft, known] = await Promise.all([drafting, this.#listChannels(threadId, namespace)])
    return dropChannels(draft, old.filter(channel => !known.has(channel)))
  }

  /** The channels that had a value in any checkpoint of a namespace. */
  async #listChannels (threadId: string, namespace: string): Promise<Set<string>> {
    const channels = new Set<string>()
    for await (const { checkpoint } of this.list({ configurable: { thread_id: threadId, checkpoint_ns: namespace } })) {
      for (const channel of Object.keys(checkpoint.channel_values)) channels.add(channel)
    }
    return channels
  }

  /** Makes a tuple of a checkpoint: what is not remembered of it is read, and all is read again if another replica took something away meanwhile. */
  async #revive (found: RedisCheckpoint, readAgain: () => Promise<RedisCheckpoint | undefined>): Promise<CheckpointTuple | undefined> {
    let read: RedisCheckpoint | undefined = found
    for (let reads = 1; read !== undefined; reads++) {
      const { row, lists, writes, parentWrites }: RedisCheckpoint = read
      const items = this.#memory.open(row.threadId)
      const seen = new Set<string>()
      const placed = lists.map(({ channel, refs }) => ({ channel, ...placeItems(items, refs, seen) }))
      const wanted = [...new Set(placed.flatMap(({ missing }) => missing.map(({ ref }) => ref)))]
      const values = await this.#threads.readItems(row.threadId, wanted)
      if (values.size < wanted.length && reads < MAX_READS) {
        read = await readAgain()
        continue
      }
      const tuple = await reviveTuple(this.serde, items, { row, writes, parentWrites, lists: placed.map(list => ({ ...list, values })) })
      this.#memory.trim()
      return tuple
    }
    return undefined
  }

  /** The checkpoints of a thread, or of all. */
  async #order (threadId: string | undefined): Promise<OrderedCheckpoint[]> {
    if (threadId !== undefined) return await this.#threads.readOrder(threadId)
    const all: OrderedCheckpoint[] = []
    for (const thread of await this.#threads.list('')) all.push(...await this.#threads.readOrder(thread.threadId))
    return all.sort((a, b) => b.seq - a.seq)
  }

  /** What tells whether a checkpoint was put before another one; one that is not there any more is placed by its id. */
  async #findBound (threadId: string | undefined, checkpointId: string): Promise<(place: OrderedCheckpoint) => boolean> {
    const bound = (await this.#order(threadId)).findLast(({ key }) => key[2] === checkpointId)
    return bound === undefined ? ({ key }) => key[2] < checkpointId : ({ seq }) => seq < bound.seq
  }
}
