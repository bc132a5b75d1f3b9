import type { RunnableConfig } from '@langchain/core/runnables'
import type { BaseCheckpointSaver, CheckpointListOptions, CheckpointTuple } from '@langchain/langgraph-checkpoint'
import { readConfig } from '../checkpoints/config.ts'
import type { ItemMemory } from '../checkpoints/item-memory.ts'
import { hasDetails, isFiltering } from '../checkpoints/metadata.ts'
import { placeItems, reviveMetadata, reviveTuple } from '../checkpoints/revival.ts'
import type { OrderedCheckpoint, RedisCheckpoint, RedisThreads } from './threads.ts'

/** Reads of a checkpoint from which another replica took items away before they were read. */
const MAX_READS = 3

/** What threads are read with. */
export interface ThreadReadingOptions {
  readonly threads: RedisThreads
  readonly serde: BaseCheckpointSaver['serde']
  readonly memory: ItemMemory<string>
}

/**
 * The reading of threads: a checkpoint and its writes in one round trip, and in a second one the items of its lists that are not remembered.
 *
 * *Promise.* A tuple is the state of one instant, whatever other replicas do meanwhile: its items are named by their content.
 */
export class ThreadReading {
  readonly #threads: RedisThreads
  readonly #serde: BaseCheckpointSaver['serde']
  readonly #memory: ItemMemory<string>

  constructor ({ threads, serde, memory }: ThreadReadingOptions) {
    this.#threads = threads
    this.#serde = serde
    this.#memory = memory
  }

  /** See `BaseCheckpointSaver.getTuple`. */
  async getTuple (config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const { threadId, namespace = '', checkpointId } = readConfig(config)
    if (threadId === undefined) return undefined
    const read = async () => await this.#threads.read(threadId, namespace, checkpointId)
    const found = await read()
    return found === undefined ? undefined : await this.#revive(found, read)
  }

  /** Newest first. */
  async * list (config: RunnableConfig, { limit, before, filter }: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
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
      if (found === undefined || (isFiltering(filter) && !hasDetails(await reviveMetadata(this.#serde, found.row), filter))) continue
      const tuple = await this.#revive(found, read)
      if (tuple === undefined) continue
      left--
      yield tuple
    }
  }

  /** The channels that had a value in any checkpoint of a namespace. */
  async listChannels (threadId: string, namespace: string): Promise<Set<string>> {
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
      const tuple = await reviveTuple(this.#serde, items, { row, writes, parentWrites, lists: placed.map(list => ({ ...list, values })) })
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
