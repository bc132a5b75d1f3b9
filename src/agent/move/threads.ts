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

/** A thread as it is moved, and what it is compared by. */
export interface DescribedThread {
  readonly checkpoints: readonly MovedCheckpoint[]
  /** One a checkpoint, the same wherever the thread lies. */
  readonly texts: readonly string[]
  /** Earlier checkpoints that are not moved. */
  readonly left: number
}

/**
 * Describes a thread in the same texts wherever it lies.
 *
 * A thread that went back to an earlier checkpoint may have two values of one version of a channel. Postgres has one for each: so the earlier
 * checkpoint is left behind, which the next turn would remove.
 */
export async function describeThread (checkpoints: readonly MovedCheckpoint[]): Promise<DescribedThread> {
  const described = await Promise.all(checkpoints.map(async checkpoint => ({ checkpoint, values: await formatValues(checkpoint) })))
  const known = new Map<string, string>()
  const kept = described.reverse().filter(({ values }) => {
    if (values.some(({ place, text }) => (known.get(place) ?? text) !== text)) return false
    for (const { place, text } of values) known.set(place, text)
    return true
  }).reverse()
  return {
    checkpoints: kept.map(({ checkpoint }) => checkpoint),
    texts: await Promise.all(kept.map(async ({ checkpoint, values }) => await formatCheckpoint(checkpoint, values))),
    left: checkpoints.length - kept.length
  }
}

interface ValueText {
  /** Namespace, channel and version. */
  readonly place: string
  readonly text: string
}

/** A channel without a version has what every new one has, which some stores do not write down. */
async function formatValues ({ tuple: { config, checkpoint } }: MovedCheckpoint): Promise<ValueText[]> {
  const { channel_values: values, channel_versions: versions } = checkpoint
  const namespace: unknown = config.configurable?.checkpoint_ns
  const channels = Object.keys(versions).filter(channel => Object.hasOwn(values, channel)).sort()
  return await Promise.all(channels.map(async channel =>
    ({ place: JSON.stringify([namespace, channel, versions[channel]]), text: await formatCanonical(values[channel]) })))
}

async function formatCheckpoint ({ tuple, writes }: MovedCheckpoint, values: readonly ValueText[]): Promise<string> {
  const { config, parentConfig, checkpoint: { v, id, ts, channel_versions: versions, versions_seen: seen }, metadata } = tuple
  const { thread_id: threadId, checkpoint_ns: namespace }: Record<string, unknown> = config.configurable ?? {}
  const parentId: unknown = parentConfig?.configurable?.checkpoint_id
  const rest = await formatCanonical({ threadId, namespace, parentId, v, id, ts, versions, seen, metadata, writes })
  return JSON.stringify([rest, ...values.map(({ place, text }) => [place, text])])
}

async function formatCanonical (value: unknown): Promise<string> {
  const [type, bytes] = await serializer.dumpsTyped(value)
  if (type !== 'json') return `${type}:${Buffer.from(bytes).toString('base64')}`
  return JSON.stringify(sortKeys(JSON.parse(new TextDecoder().decode(bytes)))) ?? 'undefined'
}

/** What is kept as a document of the store's own has another order of keys there. */
function sortKeys (value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(sortKeys)
  const entries: Array<[string, unknown]> = Object.entries(value)
  return Object.fromEntries(entries.sort(([a], [b]) => a < b ? -1 : 1).map(([key, inner]) => [key, sortKeys(inner)]))
}
