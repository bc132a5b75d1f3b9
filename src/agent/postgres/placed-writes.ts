import type { RunnableConfig } from '@langchain/core/runnables'
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { readPlace } from '../checkpoints/config.ts'
import type { PlacedWrite, WritePlaces } from '../placed-writes.ts'
import type { ConversationTables } from './tables.ts'
import { putWrites } from './writes.ts'

const Row = Type.Object({
  task_id: Type.String(), task_path: Type.String(), idx: Type.Integer(), channel: Type.String(), type: Type.String(), blob: Type.Uint8Array()
})

const SELECT = `SELECT task_id, task_path, idx, channel, type, blob FROM holdline.checkpoint_writes
  WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id = $3 ORDER BY task_path, task_id COLLATE "C", idx`

/** The writes beside the checkpoints in Postgres. */
export class PostgresWrites implements WritePlaces {
  readonly #serde: BaseCheckpointSaver['serde']
  readonly #tables: ConversationTables

  constructor (serde: BaseCheckpointSaver['serde'], tables: ConversationTables) {
    this.#serde = serde
    this.#tables = tables
  }

  async read (config: RunnableConfig): Promise<PlacedWrite[]> {
    const { threadId, namespace, checkpointId } = readPlace(config)
    const rows = await this.#tables.send({ text: SELECT, values: [threadId, namespace, checkpointId] })
    return await Promise.all(rows.map(async row => {
      if (!Value.Check(Row, row)) throw new TypeError('A write cannot be read')
      const { task_id: taskId, task_path: taskPath, idx: index, channel, type, blob } = row
      return { taskId, taskPath, index, channel, value: await this.#serde.loadsTyped(type, blob) }
    }))
  }

  async put (config: RunnableConfig, writes: readonly PlacedWrite[]): Promise<void> {
    const place = readPlace(config)
    for (const { taskId, taskPath, index, channel, value } of writes) {
      const [type, text] = await this.#serde.dumpsTyped(value)
      await this.#tables.send(putWrites({ ...place, taskId, taskPath, isReplacing: false }, [{ index, channel, type, value: text }]))
    }
  }
}
