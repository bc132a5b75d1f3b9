import type { RunnableConfig } from '@langchain/core/runnables'
import {
  maxChannelVersion, TASKS, type CheckpointMetadata, type CheckpointPendingWrite, type CheckpointTuple, type SerializerProtocol
} from '@langchain/langgraph-checkpoint'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { formatConfig, readConfig } from '../checkpoints/config.ts'
import type { ThreadValues } from '../checkpoints/list-memory.ts'
import { SELECT_CHECKPOINTS } from './functions.ts'
import { replaceRefused } from './json.ts'
import { Statement } from './statement.ts'

const Versions = Type.Record(Type.String(), Type.Union([Type.Number(), Type.String()]))
const Row = Type.Object({
  thread_id: Type.String(),
  checkpoint_ns: Type.String(),
  checkpoint_id: Type.String(),
  parent_checkpoint_id: Type.Union([Type.String(), Type.Null()]),
  checkpoint: Type.Object({
    v: Type.Number(), id: Type.String(), ts: Type.String(), channel_versions: Versions, versions_seen: Type.Record(Type.String(), Versions)
  }),
  metadata: Type.Record(Type.String(), Type.Unknown()),
  channel_values: Type.Array(Type.Tuple([Type.String(), Type.String(), Type.String()])),
  pending_writes: Type.Array(Type.Tuple([Type.String(), Type.String(), Type.String(), Type.String()])),
  /** Before the fourth version of the format, tasks to be sent lay among the writes of the parent. */
  parent_sends: Type.Union([Type.Array(Type.Tuple([Type.String(), Type.String()])), Type.Null()])
})

/** A checkpoint as it lies in the tables. */
export type CheckpointRow = Static<typeof Row>

/** Which checkpoints are asked for; what is not given is not asked about. */
export interface Selection {
  readonly config: RunnableConfig
  readonly limit?: number | undefined
  readonly before?: RunnableConfig | undefined
  readonly filter?: Readonly<Record<string, unknown>> | undefined
}

/** Asks for one checkpoint: the newest of a namespace, if none is named. */
export function selectCheckpoint (threadId: string, namespace: string, checkpointId?: string): Statement {
  return new Statement(note => `SELECT * FROM holdline.read_checkpoint(${[threadId, namespace, checkpointId ?? null].map(note).join(', ')})`)
}

/** Asks for checkpoints, those that were written last first: no clock of those who wrote them has a say in it. */
export function selectCheckpoints ({ config, limit, before, filter = {} }: Selection): Statement {
  const { threadId, namespace, checkpointId } = readConfig(config)
  const { checkpointId: bound } = readConfig(before)
  return new Statement(note => {
    const conditions = [
      ...threadId === undefined ? [] : [`thread_id = ${note(threadId)}`],
      ...namespace === undefined ? [] : [`checkpoint_ns = ${note(namespace)}`],
      ...checkpointId === undefined ? [] : [`checkpoint_id = ${note(checkpointId)}`],
      ...Object.keys(filter).length === 0 ? [] : [`metadata @> ${note(replaceRefused(JSON.stringify(filter)))}::jsonb`],
      ...bound === undefined ? [] : [isBefore(note(bound))]
    ]
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    const end = limit === undefined ? '' : `LIMIT ${note(limit)}`
    return `${SELECT_CHECKPOINTS} ${where} ORDER BY holdline_seq DESC ${end}`
  })
}

/** Written before another one; one that is not there any more is placed by its id. */
function isBefore (id: string): string {
  const seq = `(SELECT max(b.holdline_seq) FROM holdline.checkpoints AS b WHERE b.thread_id = cp.thread_id AND b.checkpoint_id = ${id})`
  return `coalesce(holdline_seq < ${seq}, checkpoint_id < ${id})`
}

/** Throws for what is no checkpoint. */
export function parseRow (row: unknown): CheckpointRow {
  return Value.Parse(Row, row)
}

/** Makes a tuple of what was read; throws for what the serializer cannot read. */
export async function reviveTuple (serde: SerializerProtocol, values: ThreadValues, row: CheckpointRow): Promise<CheckpointTuple> {
  const { thread_id: threadId, checkpoint_ns: namespace, parent_checkpoint_id: parentId } = row
  const load = async (type: string, data: string) => await values.load(type, decode(data))
  const revived = await Promise.all(row.channel_values.map(async ([channel, type, data]) => [channel, await load(type, data)] as const))
  const checkpoint = { ...row.checkpoint, channel_values: Object.fromEntries(revived) }
  if (row.parent_sends !== null) {
    checkpoint.channel_values[TASKS] = await Promise.all(row.parent_sends.map(async ([type, data]) => await load(type, data)))
    const versions = Object.values(checkpoint.channel_versions)
    checkpoint.channel_versions[TASKS] = versions.length > 0 ? maxChannelVersion(...versions) : 1
  }
  const metadata: unknown = await serde.loadsTyped('json', JSON.stringify(row.metadata))
  return {
    config: formatConfig(threadId, namespace, row.checkpoint_id),
    checkpoint,
    ...(isMetadata(metadata) && { metadata }),
    ...(parentId !== null && { parentConfig: formatConfig(threadId, namespace, parentId) }),
    pendingWrites: await Promise.all(row.pending_writes.map(async ([taskId, channel, type, data]): Promise<CheckpointPendingWrite> =>
      [taskId, channel, await serde.loadsTyped(type, decode(data))]))
  }
}

function decode (base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}

/** What else is in it has changed from version to version. */
function isMetadata (value: unknown): value is CheckpointMetadata {
  return typeof value === 'object' && value !== null && 'source' in value && 'step' in value
}
