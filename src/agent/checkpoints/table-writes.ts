import type { RunnableConfig } from '@langchain/core/runnables'
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint'
import type { PlacedWrite, WritePlaces } from '../placed-writes.ts'
import { readPlace } from './config.ts'
import type { Key, Tables } from './tables.ts'
import type { Writer } from './writer.ts'

/** The writes in the table of a `ThreadSaver`. */
export class TableWrites implements WritePlaces {
  readonly #serde: BaseCheckpointSaver['serde']
  readonly #tables: Tables
  readonly #writer: Writer

  constructor (serde: BaseCheckpointSaver['serde'], tables: Tables, writer: Writer) {
    this.#serde = serde
    this.#tables = tables
    this.#writer = writer
  }

  async read (config: RunnableConfig): Promise<PlacedWrite[]> {
    return await Promise.all(this.#tables.writes(readKey(config)).map(async ({ type, value, ...place }) =>
      ({ ...place, value: await this.#serde.loadsTyped(type, value) })))
  }

  async put (config: RunnableConfig, writes: readonly PlacedWrite[]): Promise<void> {
    const rows = await Promise.all(writes.map(async ({ value, ...place }) => {
      const [type, text] = await this.#serde.dumpsTyped(value)
      return { ...place, type, value: text }
    }))
    this.#writer.placeWrites(readKey(config), rows)
  }
}

function readKey (config: RunnableConfig): Key {
  const { threadId, namespace, checkpointId } = readPlace(config)
  if (checkpointId === undefined) throw new TypeError('Writes need a checkpoint: config.configurable.checkpoint_id is missing')
  return [threadId, namespace, checkpointId]
}
