import type { RunnableConfig } from '@langchain/core/runnables'
import { WRITES_IDX_MAP, type ChannelVersions, type Checkpoint, type CheckpointMetadata, type PendingWrite } from '@langchain/langgraph-checkpoint'
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres'
import type { Tracer } from '@opentelemetry/api'
import type { Pool } from 'pg'
import { formatConfig, readConfig, readPlace } from '../checkpoints/config.ts'
import type { PruneOptions } from '../checkpoints/saver.ts'
import { SafeSerializer } from '../checkpoints/serializer.ts'
import { markEnded, traceWrite } from '../conversation-write.ts'
import { replaceRefused } from './json.ts'
import { lendForReading } from './reads.ts'
import { deleteThread, pruneThread } from './removal.ts'
import { SCHEMA } from './schema.ts'
import type { ConversationTables } from './tables.ts'
import { putCheckpoint, putWrites } from './writes.ts'

/** What a saver stands on. */
export interface PostgresThreadSaverOptions {
  readonly pool: Pool
  readonly tables: ConversationTables
  readonly now: () => number
  readonly tracer?: Tracer | undefined
}

/**
 * LangGraph's saver for Postgres: its tables and its reads, with writes of our own.
 *
 * *Promise.* Each write is one statement, and so one transaction and one round trip: under the lease of the turn that makes it (see `Statement`), it
 * comes about as a whole or not at all. It is durable when it resolves, and is the state at the call. The newest checkpoint of a thread is the one
 * that was written last, whatever the clocks of those who wrote say. A thread that goes back to an earlier checkpoint shares no value with what came
 * behind that: LangGraph's own saver knows a value by its version, counts them on from there, and so would take the old value for the new one.
 *
 * *Not promised.* That a checkpoint costs what is new in it: unlike in the local file, a channel is written as a whole whenever it changes.
 */
export class PostgresThreadSaver extends PostgresSaver {
  readonly #tables: ConversationTables
  readonly #now: () => number
  readonly #tracer: Tracer | undefined

  constructor ({ pool, tables, now, tracer }: PostgresThreadSaverOptions) {
    super(lendForReading(pool, tables), new SafeSerializer(), { schema: SCHEMA })
    this.#tables = tables
    this.#now = now
    this.#tracer = tracer
  }

  /** The next whole number, and a fraction that no other way to this number comes to. */
  override getNextVersion (current: number | undefined): number {
    return Math.floor(current ?? 0) + 1 + Math.random()
  }

  override async put (
    config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, newVersions: ChannelVersions = checkpoint.channel_versions
  ): Promise<RunnableConfig> {
    const { threadId, namespace, checkpointId: parentId = null } = readPlace(config)
    // Nothing may be awaited before these: the graph goes on, and changes what it has put.
    const body = replaceRefused(JSON.stringify(this._dumpCheckpoint(checkpoint)))
    const dumps = [this._dumpBlobs(threadId, namespace, checkpoint.channel_values, newVersions), this.serde.dumpsTyped(metadata)] as const
    const [blobs, [, details]] = await Promise.all(dumps)
    const statement = putCheckpoint({
      threadId,
      namespace,
      checkpointId: checkpoint.id,
      parentId,
      body,
      metadata: replaceRefused(new TextDecoder().decode(details)),
      writtenMs: this.#now(),
      blobs: blobs.map(([,, channel, version, type, value]) => ({ channel, version, type, value }))
    })
    await traceWrite(this.#tracer, async () => await this.#tables.send(statement))
    return formatConfig(threadId, namespace, checkpoint.id)
  }

  override async putWrites (config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath = ''): Promise<void> {
    const place = readPlace(config)
    if (place.checkpointId === undefined) throw new TypeError('Writes need a checkpoint: config.configurable.checkpoint_id is missing')
    const marked = markEnded(writes, taskId)
    if (marked.length === 0) return
    const isReplacing = marked.every(([channel]) => channel in WRITES_IDX_MAP)
    const dumped = await this._dumpWrites(place.threadId, place.namespace, place.checkpointId, taskId, marked)
    const rows = dumped.map(([,,,, index, channel, type, value]) => ({ index, channel, type, value }))
    // One statement can replace a row once: of several for one place, the last one counts.
    const put = isReplacing ? [...new Map(rows.map(row => [row.index, row])).values()] : rows
    const statement = putWrites({ ...place, taskId, taskPath, isReplacing }, put)
    await traceWrite(this.#tracer, async () => await this.#tables.send(statement))
  }

  /** Removes a thread and all its checkpoints, also one that cannot be read. */
  override async deleteThread (threadId: string): Promise<void> {
    await this.#tables.send(deleteThread(threadId))
  }

  /** Lets a thread lose what a turn that ended well has made superfluous, at once and in one statement; see `pruneThread`. */
  async prune (threadId: string, { isResting }: PruneOptions): Promise<void> {
    await this.#tables.send(pruneThread(threadId, isResting))
  }

  protected override _searchWhere (config?: RunnableConfig, filter?: Record<string, unknown>, before?: RunnableConfig): [string, unknown[]] {
    const [where, values] = super._searchWhere(config, filter)
    const { checkpointId } = readConfig(before)
    if (checkpointId === undefined) return [where, values]
    const id = `$${values.length + 1}`
    const bound = `(SELECT max(b.holdline_seq) FROM holdline.checkpoints b WHERE b.thread_id = cp.thread_id AND b.checkpoint_id = ${id})`
    // One that is not there any more is placed by its id.
    const isBefore = `coalesce(holdline_seq < ${bound}, checkpoint_id < ${id})`
    return [where === '' ? `WHERE ${isBefore}` : `${where} AND ${isBefore}`, [...values, checkpointId]]
  }

  /** As it was written, once: LangGraph's own reads it by writing it once more. */
  protected override async _loadMetadata (metadata: Record<string, unknown>): Promise<unknown> {
    return await this.serde.loadsTyped('json', JSON.stringify(metadata))
  }
}
