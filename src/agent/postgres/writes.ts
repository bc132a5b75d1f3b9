import type { Place } from '../checkpoints/config.ts'
import { hold, Statement } from './statement.ts'

/** The value of a channel in one version. */
export interface NewBlob {
  readonly channel: string
  readonly version: string
  readonly type: string
  /** None where the channel is empty. */
  readonly value: Uint8Array | undefined
}

/** A checkpoint to be written; what is JSON has to be fit for `jsonb`. */
export interface NewCheckpoint {
  readonly threadId: string
  readonly namespace: string
  readonly checkpointId: string
  readonly parentId: string | null
  readonly body: string
  readonly metadata: string
  readonly writtenMs: number
  readonly blobs: readonly NewBlob[]
}

/** A write of a task, to be written. */
export interface NewWrite {
  readonly index: number
  readonly channel: string
  readonly type: string
  readonly value: Uint8Array
}

/** What the writes of a task are beside. */
export interface WritesHeading extends Place {
  readonly taskId: string
  readonly taskPath: string
  /** Whether they take the place of those that have the same index; else those stay. */
  readonly isReplacing: boolean
}

/** Puts a checkpoint, and the values that are new in it; one that is put again keeps its place in the order. */
export function putCheckpoint (checkpoint: NewCheckpoint): Statement {
  return new Statement(note => {
    const [held, thread, namespace] = [hold(note), note(checkpoint.threadId), note(checkpoint.namespace)]
    const blobs = checkpoint.blobs.map(({ channel, version, type, value }) =>
      `(${note(channel)}::text, ${note(version)}::text, ${note(type)}::text, ${note(value)}::bytea)`)
    // A thread that was moved here may have two values of one version, from before and after it went back: the one that is put last is in use.
    const put = blobs.length === 0
      ? ''
      : `, put AS (INSERT INTO holdline.checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
          SELECT ${thread}, ${namespace}, blobs.* FROM held, (VALUES ${blobs.join(', ')}) AS blobs
          ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET type = excluded.type, blob = excluded.blob)`
    return `${held}${put}
      INSERT INTO holdline.checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, written_at)
      SELECT ${thread}, ${namespace}, ${note(checkpoint.checkpointId)}, ${note(checkpoint.parentId)}, ${note(checkpoint.body)}::jsonb,
        ${note(checkpoint.metadata)}::jsonb, to_timestamp(${note(checkpoint.writtenMs)}::float8 / 1000) FROM held
      ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET parent_checkpoint_id = excluded.parent_checkpoint_id,
        checkpoint = excluded.checkpoint, metadata = excluded.metadata, written_at = excluded.written_at`
  })
}

/** Puts what a task wrote. */
export function putWrites (heading: WritesHeading, writes: readonly NewWrite[]): Statement {
  const { threadId, namespace, checkpointId, taskId, taskPath, isReplacing } = heading
  return new Statement(note => {
    const held = hold(note)
    const place = [threadId, namespace, checkpointId, taskId, taskPath].map(value => note(value))
    const rows = writes.map(({ index, channel, type, value }) =>
      `(${note(index)}::integer, ${note(channel)}::text, ${note(type)}::text, ${note(value)}::bytea)`)
    const columns = ['task_path', 'channel', 'type', 'blob'].map(column => `${column} = excluded.${column}`)
    const conflict = isReplacing ? `DO UPDATE SET ${columns.join(', ')}` : 'DO NOTHING'
    return `${held}
      INSERT INTO holdline.checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
      SELECT ${place.join(', ')}, writes.* FROM held, (VALUES ${rows.join(', ')}) AS writes
      ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) ${conflict}`
  })
}
