import type { RunnableConfig } from '@langchain/core/runnables'
import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint'
import { readPlace } from '../checkpoints/config.ts'
import type { PlacedWrite, WritePlaces } from '../placed-writes.ts'
import type { RedisThreads } from './threads.ts'

/** The writes beside the checkpoints in Redis. */
export class RedisWrites implements WritePlaces {
  readonly #serde: BaseCheckpointSaver['serde']
  readonly #threads: RedisThreads

  constructor (serde: BaseCheckpointSaver['serde'], threads: RedisThreads) {
    this.#serde = serde
    this.#threads = threads
  }

  async read (config: RunnableConfig): Promise<PlacedWrite[]> {
    const { threadId, namespace, checkpointId } = readPlace(config)
    const found = await this.#threads.read(threadId, namespace, checkpointId)
    return await Promise.all((found?.writes ?? []).map(async ({ type, value, ...place }) =>
      ({ ...place, value: await this.#serde.loadsTyped(type, value) })))
  }

  async put (config: RunnableConfig, writes: readonly PlacedWrite[]): Promise<void> {
    const { threadId, namespace, checkpointId } = readPlace(config)
    if (checkpointId === undefined) throw new TypeError('Writes need a checkpoint: config.configurable.checkpoint_id is missing')
    for (const { taskId, taskPath, index, channel, value } of writes) {
      const [type, text] = await this.#serde.dumpsTyped(value)
      await this.#threads.putWrites([threadId, namespace, checkpointId], taskId, taskPath, [{ index, channel, type, value: text }], false)
    }
  }
}
