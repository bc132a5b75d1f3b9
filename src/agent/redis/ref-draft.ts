import type { BaseCheckpointSaver } from '@langchain/langgraph-checkpoint'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Draft, DraftList, FreshItem } from '../checkpoints/draft.ts'
import type { ThreadItems } from '../checkpoints/item-memory.ts'
import { nameItem } from './item-ref.ts'
import type { RefList } from './threads.ts'

const Body = Type.Object({ channel_values: Type.Record(Type.String(), Type.Unknown()) })

/** A checkpoint as it is to be written, whose items have their references. */
export class RefDraft {
  readonly body: Uint8Array
  readonly metadata: Uint8Array
  readonly lists: readonly RefList[]
  /** Those that the server does not hold yet, as far as is known. */
  readonly items: ReadonlyMap<string, Uint8Array>
  readonly #fresh: ReadonlyArray<readonly [ref: string, item: FreshItem]>
  readonly #draft: Draft<string>

  constructor (draft: Draft<string>) {
    this.#draft = draft
    this.body = draft.body
    this.metadata = draft.metadata
    const named = draft.lists.map(nameList)
    this.lists = named.map(({ channel, refs }) => ({ channel, refs }))
    this.#fresh = named.flatMap(({ fresh }) => fresh)
    this.items = new Map(this.#fresh.map(([ref, { value }]) => [ref, value]))
  }

  /**
   * All items, with those that the server turned out to lack: a server that lost its last writes, or another replica that pruned them, leaves this
   * one with objects that it knows and that are nowhere else. Throws for one that was changed since it was put.
   */
  async completeItems (serde: BaseCheckpointSaver['serde'], missing: readonly string[]): Promise<Map<string, Uint8Array>> {
    const wanted = new Set(missing)
    const items = new Map(this.items)
    for (const [place, { refs }] of this.lists.entries()) {
      for (const [index, ref] of refs.entries()) {
        if (!wanted.has(ref) || items.has(ref)) continue
        const [, value] = await serde.dumpsTyped(this.#draft.lists[place]?.objects[index])
        if (nameItem(value) !== ref) throw new Error('An item of a list is gone, and was changed since')
        items.set(ref, value)
      }
    }
    return items
  }

  /** Notes what the server holds now. */
  keepLive (items: ThreadItems<string>): void {
    for (const [ref, { shape, value }] of this.#fresh) if (shape !== undefined) items.keepLive(ref, shape, value.length)
  }
}

function nameList ({ channel, refs, fresh }: DraftList<string>) {
  const named = fresh.map(item => [nameItem(item.value), item] as const)
  const all = [...refs]
  for (const [ref, { index }] of named) all[index] = ref
  return {
    channel,
    fresh: named,
    refs: all.map(ref => {
      if (ref === undefined) throw new Error('An item of a list has no reference')
      return ref
    })
  }
}

/** The same without some channels. */
export function dropChannels (draft: Draft<string>, channels: readonly string[]): Draft<string> {
  const body: unknown = JSON.parse(new TextDecoder().decode(draft.body))
  if (!Value.Check(Body, body)) throw new TypeError('A checkpoint cannot be written')
  const kept = Object.fromEntries(Object.entries(body.channel_values).filter(([channel]) => !channels.includes(channel)))
  return {
    ...draft,
    body: new TextEncoder().encode(JSON.stringify({ ...body, channel_values: kept })),
    lists: draft.lists.filter(({ channel }) => !channels.includes(channel))
  }
}
