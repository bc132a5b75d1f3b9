import type { RunnableConfig } from '@langchain/core/runnables'
import type { CheckpointTuple } from '@langchain/langgraph-checkpoint'
import type { ThreadActivity } from '../agent.ts'
import { SafeSerializer } from '../checkpoints/serializer.ts'
import type { Conversations } from '../conversations.ts'
import type { PlacedWrite } from '../placed-writes.ts'

/** A checkpoint and what was written beside it. */
export interface MovedCheckpoint {
  readonly tuple: CheckpointTuple
  readonly writes: readonly PlacedWrite[]
}

/** Threads asked for at once. */
const PAGE = 500

/** What the texts are made with by which two checkpoints are compared, wherever they come from. */
const serializer = new SafeSerializer()

/** All threads, in the order of their ids. */
export async function * walkThreads (conversations: Conversations): AsyncGenerator<ThreadActivity> {
  for (let after = ''; ;) {
    const threads = await conversations.listThreads(after, PAGE)
    const last = threads.at(-1)
    if (last === undefined) return
    yield * threads
    after = last.threadId
  }
}

export async function hasThread ({ checkpointer }: Conversations, threadId: string): Promise<boolean> {
  const { done } = await checkpointer.list({ configurable: { thread_id: threadId } }, { limit: 1 }).next()
  return done !== true
}

/** The checkpoints of a thread in all its namespaces, oldest first: a thread at a time is in memory. */
export async function readThread ({ checkpointer, writes }: Conversations, threadId: string): Promise<MovedCheckpoint[]> {
  const checkpoints: MovedCheckpoint[] = []
  for await (const tuple of checkpointer.list({ configurable: { thread_id: threadId } })) {
    checkpoints.push({ tuple, writes: tuple.pendingWrites?.length === 0 ? [] : await writes.read(tuple.config) })
  }
  return checkpoints.reverse()
}

/** Puts checkpoints in their order, so that the newest is the newest. */
export async function writeThread ({ checkpointer, writes }: Conversations, checkpoints: readonly MovedCheckpoint[]): Promise<void> {
  for (const { tuple: { config, parentConfig, checkpoint, metadata }, writes: placed } of checkpoints) {
    const { thread_id: threadId, checkpoint_ns: namespace = '' }: Record<string, unknown> = config.configurable ?? {}
    const parentId: unknown = parentConfig?.configurable?.checkpoint_id
    const place: RunnableConfig = {
      configurable: { thread_id: threadId, checkpoint_ns: namespace, ...(parentId !== undefined && { checkpoint_id: parentId }) }
    }
    // As if all channels were new: a store that keeps each version of a channel once has none of them yet.
    await checkpointer.put(place, checkpoint, metadata ?? { source: 'loop', step: -1, parents: {} }, checkpoint.channel_versions)
    if (placed.length > 0) await writes.put(config, placed)
  }
}

/** The same texts for the same thread, one a checkpoint, wherever it lies. */
export async function describeThread (checkpoints: readonly MovedCheckpoint[]): Promise<string[]> {
  return await Promise.all(checkpoints.map(async ({ tuple, writes }) => {
    const { config, parentConfig, checkpoint, metadata } = tuple
    const { v, id, ts, channel_values: values, channel_versions: versions, versions_seen: seen } = checkpoint
    return await formatCanonical({
      threadId: config.configurable?.thread_id,
      namespace: config.configurable?.checkpoint_ns,
      parentId: parentConfig?.configurable?.checkpoint_id,
      v,
      id,
      ts,
      // A channel without a version has what every new one has, which some stores do not write down.
      values: Object.fromEntries(Object.entries(values).filter(([channel]) => Object.hasOwn(versions, channel))),
      versions,
      seen,
      metadata,
      writes
    })
  }))
}

async function formatCanonical (value: unknown): Promise<string> {
  const [, bytes] = await serializer.dumpsTyped(value)
  return JSON.stringify(sortKeys(JSON.parse(new TextDecoder().decode(bytes))))
}

/** What is kept as a document of the store's own has another order of keys there. */
function sortKeys (value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(sortKeys)
  const entries: Array<[string, unknown]> = Object.entries(value)
  return Object.fromEntries(entries.sort(([a], [b]) => a < b ? -1 : 1).map(([key, inner]) => [key, sortKeys(inner)]))
}
