import { copyCheckpoint, type BaseCheckpointSaver, type Checkpoint, type CheckpointMetadata } from '@langchain/langgraph-checkpoint'
import type { ThreadItems } from './item-memory.ts'
import { takeShape, type Shape } from './shape.ts'

type Serde = BaseCheckpointSaver['serde']

/** An item of a list that the file does not hold yet, as far as is known. */
export interface FreshItem {
  readonly index: number
  readonly shape: Shape | undefined
  readonly value: Uint8Array
}

/** A channel whose value is a list. */
export interface DraftList {
  readonly channel: string
  /** By index: the number of the item; to be filled in for the fresh ones. */
  readonly numbers: Array<number | undefined>
  readonly fresh: readonly FreshItem[]
}

/** A checkpoint as it is to be written, independent of what becomes of its objects. */
export interface Draft {
  readonly body: Uint8Array
  readonly metadata: Uint8Array
  readonly lists: readonly DraftList[]
}

/**
 * Writes a checkpoint down as it is at the call: the next node of the graph may run, and change it, as soon as this returns its promise.
 *
 * @param isKept Whether a channel is part of it.
 */
export async function draftCheckpoint (
  serde: Serde, items: ThreadItems, checkpoint: Checkpoint, metadata: CheckpointMetadata, isKept: (channel: string) => boolean
): Promise<Draft> {
  const entries = Object.entries(checkpoint.channel_values).filter(([channel]) => isKept(channel))
  const lists: Array<Promise<DraftList>> = []
  const rest: Array<[string, unknown]> = []
  for (const [channel, value] of entries) {
    if (isList(value)) lists.push(draftList(serde, items, channel, value))
    else rest.push([channel, value])
  }
  const dumps = [serde.dumpsTyped({ ...copyCheckpoint(checkpoint), channel_values: Object.fromEntries(rest) }), serde.dumpsTyped(metadata)] as const
  const [[[, body], [, details]], written] = await Promise.all([Promise.all(dumps), Promise.all(lists)])
  return { body, metadata: details, lists: written }
}

async function draftList (serde: Serde, items: ThreadItems, channel: string, list: readonly object[]): Promise<DraftList> {
  const numbers = list.map(item => items.numberOf(item))
  const fresh = list.flatMap((item, index) => {
    if (numbers[index] !== undefined) return []
    const dump = serde.dumpsTyped(item)
    return [{ index, shape: takeShape(item), dump }]
  })
  return {
    channel,
    numbers,
    fresh: await Promise.all(fresh.map(async ({ index, shape, dump }) => ({ index, shape, value: (await dump)[1] })))
  }
}

/** A list of objects is written item by item: messages, documents, tasks. Bytes have a form of their own. */
export function isList (value: unknown): value is object[] {
  if (!Array.isArray(value) || value.length === 0) return false
  // Not `every`, which passes over the holes of a list.
  for (const item of value) {
    if (typeof item !== 'object' || item === null || item instanceof Uint8Array) return false
  }
  return true
}
