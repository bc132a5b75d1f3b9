import type { RunnableConfig } from '@langchain/core/runnables'
import {
  BaseCheckpointSaver, WRITES_IDX_MAP, type ChannelVersions, type Checkpoint, type CheckpointListOptions, type CheckpointMetadata,
  type CheckpointTuple, type PendingWrite
} from '@langchain/langgraph-checkpoint'
import type { Tracer } from '@opentelemetry/api'
import { formatConfig, readConfig, readPlace } from '../checkpoints/config.ts'
import { ListMemory, type ThreadValues } from '../checkpoints/list-memory.ts'
import type { PruneOptions } from '../checkpoints/saver.ts'
import { SafeSerializer } from '../checkpoints/serializer.ts'
import { markEnded, traceWrite } from '../conversation-write.ts'
import { replaceRefused } from './json.ts'
import { parseRow, reviveTuple, selectCheckpoint, selectCheckpoints } from './reads.ts'
import { deleteThread, pruneThread } from './removal.ts'
import type { Statement } from './statement.ts'
import type { ConversationTables } from './tables.ts'
import { TurnReads } from './turn-reads.ts'
import { putCheckpoint, putWrites, type NewBlob } from './writes.ts'

/** What a saver stands on. */
export interface PostgresThreadSaverOptions {
  readonly tables: ConversationTables
  readonly now: () => number
  readonly tracer?: Tracer | undefined
}

/**
 * LangGraph's checkpoints in the tables of its saver for Postgres, by thread.
 *
 * That saver itself is not used beyond its tables, which it could read still: it takes the checkpoint with the largest id for the newest, and so a
 * machine whose clock is ahead for the one that wrote last; it knows the value of a channel by its version, counts versions on from an earlier
 * checkpoint that a thread goes back to, and so takes the value that came after it before for the one that comes now; it writes value by value, and
 * has no place for the check of a lease.
 *
 * *Promise.* Each write is one statement, and so one transaction and one round trip: under the lease of the turn that makes it (see `Statement`), it
 * comes about as a whole or not at all. It is durable when it resolves, and is the state at the call. The newest checkpoint of a thread is the one
 * that was written last, by any process. What is handed out cannot spoil what is handed out later.
 *
 * *Not promised.* That a checkpoint costs what is new in it: unlike in the local file, a channel is written as a whole whenever it changes.
 */
export class PostgresThreadSaver extends BaseCheckpointSaver {
  readonly #tables: ConversationTables
  readonly #now: () => number
  readonly #tracer: Tracer | undefined
  readonly #memory: ListMemory
  readonly #reads = new TurnReads()

  constructor ({ tables, now, tracer }: PostgresThreadSaverOptions) {
    super(new SafeSerializer())
    this.#tables = tables
    this.#now = now
    this.#tracer = tracer
    this.#memory = new ListMemory(this.serde)
  }

  /** The next whole number, and a fraction that no other way to this number comes to. */
  override getNextVersion (current: number | undefined): number {
    return Math.floor(current ?? 0) + 1 + Math.random()
  }

  override async getTuple (config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const { threadId, namespace = '', checkpointId } = readConfig(config)
    if (threadId === undefined) return undefined
    const read = async () => (await this.#tables.send(selectCheckpoint(threadId, namespace, checkpointId)))[0]
    const row = checkpointId === undefined ? await this.#reads.read(threadId, namespace, read) : await read()
    return row === undefined ? undefined : await this.#revive(row)
  }

  /** Newest first. */
  override async * list (config: RunnableConfig, options: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
    for (const row of await this.#tables.send(selectCheckpoints({ config, ...options }))) yield await this.#revive(row)
  }

  override async put (
    config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, newVersions: ChannelVersions = checkpoint.channel_versions
  ): Promise<RunnableConfig> {
    const { threadId, namespace, checkpointId: parentId = null } = readPlace(config)
    const { channel_values: values, ...rest } = checkpoint
    // Nothing may be awaited before these: the graph goes on, and changes what it has put.
    const body = replaceRefused(JSON.stringify(rest))
    const dumps = [dumpValues(this.#memory.open(threadId), values, newVersions), this.serde.dumpsTyped(metadata)] as const
    const [blobs, [, details]] = await Promise.all(dumps)
    const statement = putCheckpoint({
      threadId,
      namespace,
      checkpointId: checkpoint.id,
      parentId,
      body,
      metadata: replaceRefused(new TextDecoder().decode(details)),
      writtenMs: this.#now(),
      blobs
    })
    await traceWrite(this.#tracer, async () => { await this.#write(statement) })
    return formatConfig(threadId, namespace, checkpoint.id)
  }

  override async putWrites (config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath = ''): Promise<void> {
    const place = readPlace(config)
    if (place.checkpointId === undefined) throw new TypeError('Writes need a checkpoint: config.configurable.checkpoint_id is missing')
    const marked = markEnded(writes, taskId)
    if (marked.length === 0) return
    const rows = await Promise.all(marked.map(async ([channel, written], index) => {
      const [type, value] = await this.serde.dumpsTyped(written)
      return { index: WRITES_IDX_MAP[channel] ?? index, channel, type, value }
    }))
    const isReplacing = marked.every(([channel]) => channel in WRITES_IDX_MAP)
    // One statement can replace a row once: of several for one place, the last one counts.
    const put = isReplacing ? [...new Map(rows.map(row => [row.index, row])).values()] : rows
    const statement = putWrites({ ...place, taskId, taskPath, isReplacing }, put)
    await traceWrite(this.#tracer, async () => { await this.#write(statement) })
  }

  /** Removes a thread and all its checkpoints, also one that cannot be read. */
  override async deleteThread (threadId: string): Promise<void> {
    this.#memory.drop(threadId)
    await this.#write(deleteThread(threadId))
  }

  /** Lets a thread lose what a turn that ended well has made superfluous, at once and in one statement; see `pruneThread`. */
  async prune (threadId: string, { isResting }: PruneOptions): Promise<void> {
    await this.#write(pruneThread(threadId, isResting))
  }

  async #write (statement: Statement): Promise<void> {
    await this.#reads.write(async () => await this.#tables.send(statement))
  }

  async #revive (found: unknown): Promise<CheckpointTuple> {
    const row = parseRow(found)
    return await reviveTuple(this.serde, this.#memory.open(row.thread_id), row)
  }
}

async function dumpValues (memory: ThreadValues, values: Readonly<Record<string, unknown>>, versions: ChannelVersions): Promise<NewBlob[]> {
  return await Promise.all(Object.entries(versions).map(async ([channel, version]) => {
    const [type, value] = channel in values ? await memory.dump(values[channel]) : ['empty', undefined]
    return { channel, version: String(version), type, value }
  }))
}
