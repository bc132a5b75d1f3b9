import {
  maxChannelVersion, TASKS, type BaseCheckpointSaver, type Checkpoint, type CheckpointMetadata, type CheckpointPendingWrite, type CheckpointTuple
} from '@langchain/langgraph-checkpoint'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { formatConfig } from './config.ts'
import type { ItemRef, ThreadItems } from './item-memory.ts'
import { formatRanges, parseLists, parseRanges } from './ranges.ts'
import type { CheckpointRow, Tables, WriteRow } from './tables.ts'

type Serde = BaseCheckpointSaver['serde']

const Version = Type.Union([Type.Number(), Type.String()])
const Versions = Type.Record(Type.String(), Version)
const CheckpointShape = Type.Object({
  v: Type.Number(),
  id: Type.String(),
  ts: Type.String(),
  channel_values: Type.Record(Type.String(), Type.Unknown()),
  channel_versions: Versions,
  versions_seen: Type.Record(Type.String(), Versions)
})
/** Before this version of the format, tasks to be sent lay among the writes of the parent. */
const SENDS_IN_CHECKPOINT = 4

/** JSON, as bytes or as text. */
type Stored = Uint8Array | string

/** What of a checkpoint is kept apart from its lists. */
export interface StoredRow extends Pick<CheckpointRow, 'threadId' | 'namespace' | 'checkpointId' | 'parentId'> {
  readonly body: Stored | null
  readonly metadata: Stored | null
}

/** A checkpoint with all that belongs to it, read at one instant and yet to be revived. */
export interface StoredTuple<Ref extends ItemRef = number> {
  readonly row: StoredRow
  readonly writes: readonly WriteRow[]
  readonly parentWrites: readonly WriteRow[]
  readonly lists: ReadonlyArray<StoredList<Ref>>
}

/** A list whose items are remembered, or were read. */
export interface StoredList<Ref extends ItemRef> extends PlacedList<Ref> {
  readonly channel: string
  readonly values: ReadonlyMap<Ref, Stored>
}

/** A list of which some items are yet to be read. */
export interface PlacedList<Ref extends ItemRef> {
  /** By index; none where the item is missing. */
  readonly objects: Array<object | undefined>
  readonly missing: ReadonlyArray<MissingItem<Ref>>
}

interface MissingItem<Ref extends ItemRef> {
  readonly index: number
  readonly ref: Ref
  /** One object stands at one place: what is there twice is two objects, as it is for every other saver. */
  readonly isRepeated: boolean
}

/** Reads a checkpoint, all at once, since it may be gone as soon as somebody else has his turn. */
export function readTuple (tables: Tables, items: ThreadItems, row: CheckpointRow): StoredTuple {
  const { threadId, namespace, checkpointId, parentId } = row
  const seen = new Set<number>()
  return {
    row,
    writes: tables.writes([threadId, namespace, checkpointId]),
    parentWrites: parentId === null ? [] : tables.writes([threadId, namespace, parentId]),
    lists: Object.entries(parseLists(row.lists)).map(([channel, ranges]) => readList(tables, items, threadId, channel, parseRanges(ranges), seen))
  }
}

function readList (
  tables: Tables, items: ThreadItems, threadId: string, channel: string, numbers: readonly number[], seen: Set<number>
): StoredList<number> {
  const placed = placeItems(items, numbers, seen)
  const ranges = formatRanges(placed.missing.map(({ ref }) => ref))
  const values = new Map(ranges.flatMap(range => tables.items(threadId, range)).map(({ number, value }) => [number, value]))
  return { channel, ...placed, values }
}

/**
 * Puts what is remembered into the places of a list.
 *
 * @param seen What stands somewhere in the tuple already; what this list holds is added.
 */
export function placeItems<Ref extends ItemRef> (items: ThreadItems<Ref>, refs: readonly Ref[], seen: Set<Ref>): PlacedList<Ref> {
  const objects: Array<object | undefined> = []
  const missing: Array<MissingItem<Ref>> = []
  for (const [index, ref] of refs.entries()) {
    const isRepeated = seen.has(ref)
    const object = isRepeated ? undefined : items.revived(ref)
    objects.push(object)
    if (object === undefined) missing.push({ index, ref, isRepeated })
    seen.add(ref)
  }
  return { objects, missing }
}

/** Makes a tuple of what was read; throws if it is something else than a checkpoint. */
export async function reviveTuple<Ref extends ItemRef> (
  serde: Serde, items: ThreadItems<Ref>, { row, writes, parentWrites, lists }: StoredTuple<Ref>
): Promise<CheckpointTuple> {
  const { threadId, namespace, checkpointId, parentId } = row
  const checkpoint = await reviveCheckpoint(serde, row)
  for (const { channel, objects, missing, values } of lists) {
    const list: unknown[] = [...objects]
    await Promise.all(missing.map(async item => { list[item.index] = await reviveItem(serde, items, item, values.get(item.ref)) }))
    checkpoint.channel_values[channel] = list
  }
  if (checkpoint.v < SENDS_IN_CHECKPOINT && parentId !== null) await moveSends(serde, checkpoint, parentWrites)
  const metadata = await reviveMetadata(serde, row)
  return {
    config: formatConfig(threadId, namespace, checkpointId),
    checkpoint,
    ...(metadata !== undefined && { metadata }),
    ...(parentId !== null && { parentConfig: formatConfig(threadId, namespace, parentId) }),
    pendingWrites: await Promise.all(writes.map(async write => await reviveWrite(serde, write)))
  }
}

/** The details of a checkpoint alone, by which it may be looked for. */
export async function reviveMetadata (serde: Serde, { metadata }: Pick<StoredRow, 'metadata'>): Promise<CheckpointMetadata | undefined> {
  const revived: unknown = metadata === null ? undefined : await serde.loadsTyped('json', metadata)
  return isMetadata(revived) ? revived : undefined
}

/** What else is in it has changed from version to version. */
function isMetadata (value: unknown): value is CheckpointMetadata {
  return typeof value === 'object' && value !== null && 'source' in value && 'step' in value
}

async function reviveCheckpoint (serde: Serde, { body }: StoredRow): Promise<Checkpoint> {
  const revived: unknown = body === null ? undefined : await serde.loadsTyped('json', body)
  if (!Value.Check(CheckpointShape, revived)) throw new TypeError('A checkpoint cannot be read')
  return revived
}

async function reviveItem<Ref extends ItemRef> (
  serde: Serde, items: ThreadItems<Ref>, { ref, isRepeated }: MissingItem<Ref>, value: Stored | undefined
): Promise<unknown> {
  if (value === undefined) throw new TypeError('An item of a checkpoint is missing')
  const revived: unknown = await serde.loadsTyped('json', value)
  if (!isRepeated && typeof revived === 'object' && revived !== null) items.keepRevived(ref, revived, value.length)
  return revived
}

async function reviveWrite (serde: Serde, { taskId, channel, type, value }: WriteRow): Promise<CheckpointPendingWrite> {
  return [taskId, channel, await serde.loadsTyped(type, type === 'json' ? value : Uint8Array.from(value))]
}

async function moveSends (serde: Serde, checkpoint: Checkpoint, parentWrites: readonly WriteRow[]): Promise<void> {
  const sends = parentWrites.filter(({ channel }) => channel === TASKS)
  checkpoint.channel_values[TASKS] = await Promise.all(sends.map(async ({ type, value }): Promise<unknown> => await serde.loadsTyped(type, value)))
  const versions = Object.values(checkpoint.channel_versions)
  checkpoint.channel_versions[TASKS] = versions.length > 0 ? maxChannelVersion(...versions) : 1
}
