import type { RunnableConfig } from '@langchain/core/runnables'
import {
  BaseCheckpointSaver, WRITES_IDX_MAP, type ChannelVersions, type Checkpoint, type CheckpointListOptions, type CheckpointMetadata,
  type CheckpointTuple, type PendingWrite
} from '@langchain/langgraph-checkpoint'
import type { Database } from 'better-sqlite3'
import type { WritePlaces } from '../placed-writes.ts'
import { formatConfig, readConfig, readPlace, type Place } from './config.ts'
import { draftCheckpoint, type Draft } from './draft.ts'
import { Flights } from './flights.ts'
import { ItemMemory, type ItemMemoryOptions, type ThreadItems } from './item-memory.ts'
import { hasDetails, hasOpenDeltas, isFiltering } from './metadata.ts'
import type { Prune } from './pruning.ts'
import { readTuple, reviveMetadata, reviveTuple } from './revival.ts'
import { makeTables } from './schema.ts'
import { SafeSerializer } from './serializer.ts'
import { TableWrites } from './table-writes.ts'
import { Tables, type CheckpointRow } from './tables.ts'
import { Writer, type Heading } from './writer.ts'

/** Prunes that wait for their thread to be written to; one that is forgotten is made up for by the next. */
const MAX_PRUNES = 10_000

/** How a saver is set up. */
export interface ThreadSaverOptions {
  readonly now?: () => number
  /** What is remembered of the threads used last; `maxBytes: 0` remembers nothing. */
  readonly memory?: ItemMemoryOptions
}

/** What a caller knows about a thread that it asks to prune. */
export interface PruneOptions {
  /** Whether the newest checkpoint asks nothing, so that no run of a subgraph waits within it. */
  readonly isResting: boolean
}

/**
 * LangGraph's checkpoints in SQLite, by thread.
 *
 * *Promise.* What `put` and `putWrites` were given is as durable as the database's own settings when they resolve, and is the state at the call,
 * whatever the graph does to its objects afterwards. The newest checkpoint of a thread is the one that was put last: no clock is asked. A list of
 * objects, such as the messages, is written item by item and each item once, so that a checkpoint costs what is new in it. What is handed out
 * cannot spoil what is handed out later. A thread that can no longer be read can be deleted, and harms no other.
 *
 * *Not promised.* That tuples share nothing: two of one thread may hold the same message object, as two states of one run do. That items which are
 * not objects, or which lie deeper than a channel's own list, are written once.
 */
export class ThreadSaver extends BaseCheckpointSaver {
  readonly writes: WritePlaces
  readonly #now: () => number
  readonly #tables: Tables
  readonly #writer: Writer
  readonly #memory: ItemMemory
  readonly #puts = new Flights()
  readonly #prunes = new Map<string, Prune>()

  constructor (db: Database, { now = Date.now, memory = { maxThreads: 500, maxBytes: 64 * 1024 * 1024 } }: ThreadSaverOptions = {}) {
    super(new SafeSerializer())
    this.#now = now
    makeTables(db)
    this.#tables = new Tables(db)
    this.#writer = new Writer(db, this.#tables)
    this.writes = new TableWrites(this.serde, this.#tables, this.#writer)
    this.#memory = new ItemMemory(memory)
  }

  override async getTuple (config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const { threadId, namespace = '', checkpointId } = readConfig(config)
    if (threadId === undefined) return undefined
    const row = checkpointId === undefined ? this.#tables.newest(threadId, namespace) : this.#tables.byId([threadId, namespace, checkpointId])
    return row === undefined ? undefined : await this.#revive(row)
  }

  /** Newest first. */
  override async * list (config: RunnableConfig, { limit, before, filter }: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
    const asked = readConfig(config)
    const bound = readConfig(before)
    const isBefore = bound.checkpointId === undefined ? undefined : this.#findBound(bound.threadId ?? asked.threadId, bound.checkpointId)
    let left = limit ?? Infinity
    for (const seq of this.#tables.select(asked)) {
      if (left <= 0) return
      const row = this.#tables.bySeq(seq)
      if (row === undefined || isBefore?.(row) === false || !(await this.#hasDetails(row, filter))) continue
      left--
      yield await this.#revive(row)
    }
  }

  override async put (
    config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, newVersions?: ChannelVersions
  ): Promise<RunnableConfig> {
    const place = readPlace(config)
    const items = this.#memory.open(place.threadId)
    const isKept = this.#choose(place, checkpoint, newVersions)
    // Nothing may be awaited before this: the graph goes on, and changes what it has put.
    const draft = draftCheckpoint(this.serde, items, checkpoint, metadata, isKept)
    const heading: Heading = {
      threadId: place.threadId,
      namespace: place.namespace,
      checkpointId: checkpoint.id,
      parentId: place.checkpointId ?? null,
      needsParents: hasOpenDeltas(metadata) ? 1 : 0,
      writtenMs: this.#now()
    }
    await this.#puts.add(place.threadId, this.#commit(heading, draft, items))
    return formatConfig(place.threadId, place.namespace, checkpoint.id)
  }

  override async putWrites (config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath = ''): Promise<void> {
    const { threadId, namespace, checkpointId } = readPlace(config)
    if (checkpointId === undefined) throw new TypeError('Writes need a checkpoint: config.configurable.checkpoint_id is missing')
    const rows = await Promise.all(writes.map(async ([channel, value], index) => {
      const [type, text] = await this.serde.dumpsTyped(value)
      return { index: WRITES_IDX_MAP[channel] ?? index, channel, type, value: text }
    }))
    const isReplacing = writes.every(([channel]) => channel in WRITES_IDX_MAP)
    this.#writer.putWrites([threadId, namespace, checkpointId], taskId, taskPath, rows, isReplacing)
  }

  /** Removes a thread and all its checkpoints, also one that cannot be read; puts that are under way come first. */
  override async deleteThread (threadId: string): Promise<void> {
    await this.#puts.settle(threadId)
    this.#memory.drop(threadId)
    this.#prunes.delete(threadId)
    this.#writer.deleteThread(threadId)
  }

  /**
   * Lets a thread lose what a turn that ended well has made superfluous: all checkpoints but the newest of each namespace, and of a thread at
   * rest those of subgraph runs too. It touches no disk: the thread is pruned in the same transaction as its next checkpoint.
   */
  prune (threadId: string, { isResting }: PruneOptions): void {
    const [oldest] = this.#prunes.keys()
    if (oldest !== undefined && this.#prunes.size >= MAX_PRUNES) this.#prunes.delete(oldest)
    this.#prunes.set(threadId, { upTo: this.#tables.lastSeq(), isResting })
  }

  async #commit (heading: Heading, drafting: Promise<Draft>, items: ThreadItems): Promise<void> {
    const { threadId } = heading
    try {
      const draft = await drafting
      // Another put that is under way may refer to items that would go.
      const prune = this.#puts.count(threadId) === 1 ? this.#prunes.get(threadId) : undefined
      const gone = this.#writer.put(heading, draft, items, prune)
      if (prune !== undefined && this.#prunes.get(threadId) === prune) this.#prunes.delete(threadId)
      this.#memory.forget(threadId, gone)
      this.#memory.trim()
    } catch (error) {
      this.#memory.drop(threadId)
      throw error
    }
  }

  async #revive (row: CheckpointRow): Promise<CheckpointTuple> {
    const items = this.#memory.open(row.threadId)
    const tuple = await reviveTuple(this.serde, items, readTuple(this.#tables, items, row))
    this.#memory.trim()
    return tuple
  }

  async #hasDetails (row: CheckpointRow, filter: CheckpointListOptions['filter']): Promise<boolean> {
    return !isFiltering(filter) || hasDetails(await reviveMetadata(this.serde, row), filter)
  }

  /** What tells whether a checkpoint was put before another one; one that is not there any more is placed by its id. */
  #findBound (threadId: string | undefined, checkpointId: string): (row: CheckpointRow) => boolean {
    const seq = this.#tables.select({ threadId, checkpointId }).at(-1)
    return seq === undefined ? row => row.checkpointId < checkpointId : row => row.seq < seq
  }

  /** Which channels are part of a checkpoint: not those that, by their version, were written before, and never were. */
  #choose ({ threadId, namespace, checkpointId }: Place, checkpoint: Checkpoint, newVersions?: ChannelVersions): (channel: string) => boolean {
    const old = Object.keys(checkpoint.channel_versions).filter(channel => newVersions !== undefined && !(channel in newVersions))
    if (checkpointId !== undefined || old.length === 0) return () => true
    const known = this.#tables.channels(threadId, namespace)
    return channel => !old.includes(channel) || known.has(channel)
  }
}
