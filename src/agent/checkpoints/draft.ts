import { copyCheckpoint, type BaseCheckpointSaver, type Checkpoint, type CheckpointMetadata } from '@langchain/langgraph-checkpoint'
import type { ItemRef, ThreadItems } from './item-memory.ts'
import { takeShape, type Shape } from './shape.ts'

type Serde = BaseCheckpointSaver['serde']

/** An item of a list that is not kept yet, as far as is known. */
export interface FreshItem {
  readonly index: number
  readonly shape: Shape | undefined
  readonly value: Uint8Array
}

/** A channel whose value is a list. */
export interface DraftList<Ref extends ItemRef = number> {
  readonly channel: string
  /** As they were put; what is in them may have changed since. */
  readonly objects: readonly object[]
  /** By index: the reference of the item; to be filled in for the fresh ones. */
  readonly refs: Array<Ref | undefined>
  readonly fresh: readonly FreshItem[]
}

/** A checkpoint as it is to be written, independent of what becomes of its objects. */
export interface Draft<Ref extends ItemRef = number> {
  readonly body: Uint8Array
  readonly metadata: Uint8Array
  readonly lists: ReadonlyArray<DraftList<Ref>>
}

/**
 * Writes a checkpoint down as it is at the call: the next node of the graph may run, and change it, as soon as this returns its promise.
 *
 * @param isKept Whether a channel is part of it.
 */
export async function draftCheckpoint<Ref extends ItemRef> (
  serde: Serde, items: ThreadItems<Ref>, checkpoint: Checkpoint, metadata: CheckpointMetadata, isKept: (channel: string) => boolean
): Promise<Draft<Ref>> {
  const entries = Object.entries(checkpoint.channel_values).filter(([channel]) => isKept(channel))
  const lists: Array<Promise<DraftList<Ref>>> = []
  const rest: Array<[string, unknown]> = []
  for (const [channel, value] of entries) {
    if (isList(value)) lists.push(draftList(serde, items, channel, value))
    else rest.push([channel, value])
  }
  const dumps = [serde.dumpsTyped({ ...copyCheckpoint(checkpoint), channel_values: Object.fromEntries(rest) }), serde.dumpsTyped(metadata)] as const
  const [[[, body], [, details]], written] = await Promise.all([Promise.all(dumps), Promise.all(lists)])
  return { body, metadata: details, lists: written }
}

async function draftList<Ref extends ItemRef> (
  serde: Serde, items: ThreadItems<Ref>, channel: string, list: readonly object[]
): Promise<DraftList<Ref>> {
  const refs = list.map(item => items.refOf(item))
  const objects = [...list]
  const fresh = list.flatMap((item, index) => {
    if (refs[index] !== undefined) return []
    const dump = serde.dumpsTyped(item)
    return [{ index, shape: takeShape(item), dump }]
  })
  return {
    channel,
    objects,
    refs,
    fresh: await Promise.all(fresh.map(async ({ index, shape, dump }) => ({ index, shape, value: (await dump)[1] })))
  }
}

/** A list of objects is written item by item: messages, documents, tasks. Bytes have a form of their own. */
function isList (value: unknown): value is object[] {
  if (!Array.isArray(value) || value.length === 0) return false
  // Not `every`, which passes over the holes of a list.
  for (const item of value) {
    if (typeof item !== 'object' || item === null || item instanceof Uint8Array) return false
  }
  return true
}
