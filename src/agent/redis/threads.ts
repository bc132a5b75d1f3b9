import { compareWritesSortKeys, TASKS, writesSortKey } from '@langchain/langgraph-checkpoint'
import { Type, type Static, type TSchema } from '@sinclair/typebox'
import type { RedisConnection, ScriptArgument } from '../../redis/client.ts'
import { currentLease } from '../../turn-lease.ts'
import type { ThreadActivity } from '../agent.ts'
import type { Prune } from '../checkpoints/pruning.ts'
import type { StoredRow } from '../checkpoints/revival.ts'
import type { Key, WriteRow } from '../checkpoints/tables.ts'
import type { NewWrite } from '../checkpoints/writer.ts'
import { checkReply, hearRedis } from './failure.ts'
import { joinRefs, splitRefs } from './item-ref.ts'
import { DELETE, LIST, PUT, PUT_WRITES, READ, READ_ITEMS, READ_ORDER } from './thread-lua.ts'

/** The part of the connection that is used: scripts, which change something, or nothing. */
export type ScriptRunner = Pick<RedisConnection, 'run' | 'read'>

/** A list of a checkpoint: of which channel, and which items. */
export interface RefList {
  readonly channel: string
  readonly refs: readonly string[]
}

/** A checkpoint to be written. */
export interface NewRedisCheckpoint {
  readonly key: Key
  readonly parentId: string | undefined
  /** Whether it is complete only together with the checkpoints before it. */
  readonly needsParents: boolean
  readonly body: Uint8Array
  readonly metadata: Uint8Array
  readonly lists: readonly RefList[]
}

/** A checkpoint as it was read at one instant, without the items of its lists. */
export interface RedisCheckpoint {
  readonly row: StoredRow
  readonly lists: readonly RefList[]
  readonly writes: readonly WriteRow[]
  readonly parentWrites: readonly WriteRow[]
}

/** Where in the order of all threads a checkpoint stands. */
export interface OrderedCheckpoint {
  readonly seq: number
  readonly key: Key
}

const StoredWrite = Type.Tuple([Type.String(), Type.String(), Type.String(), Type.String(), Type.String(), Type.String()])
const Text = Type.Union([Type.String(), Type.Null()])
const PutReply = Type.Tuple([Type.Integer(), Type.Array(Type.String())])
const ReadReply = Type.Union([Type.Null(), Type.Tuple([
  Type.String(), Type.String(), Text, Text, Type.Array(Type.String()), Type.Array(StoredWrite), Type.Array(StoredWrite)
])])
const ItemsReply = Type.Array(Text)
const OrderReply = Type.Array(Type.Tuple([Type.Integer(), Type.String(), Type.String()]))
const ListReply = Type.Array(Type.Tuple([Type.String(), Type.String()]))

/** What is bytes and no text is kept as text all the same. */
const BYTES = 'bytes'

/**
 * The threads as they lie in Redis.
 *
 * *Promise.* Every call is one script, and so one step: each change checks the lease of the turn that runs here, and is there as a whole or not at
 * all, also after the server was killed. What is read is as it was at one instant. Errors are those of `hearRedis`.
 */
export class RedisThreads {
  readonly #connection: ScriptRunner
  readonly #now: () => number

  constructor (connection: ScriptRunner, now: () => number) {
    this.#connection = connection
    this.#now = now
  }

  /**
   * Puts a checkpoint, and prunes its thread.
   *
   * @returns The number in the order; or, if nothing was written, references of items that were thought to be there.
   */
  async put (
    { key: [threadId, namespace, checkpointId], parentId, needsParents, body, metadata, lists }: NewRedisCheckpoint,
    items: ReadonlyMap<string, Uint8Array>, prune: Prune | undefined
  ): Promise<{ readonly seq: number, readonly missing: readonly string[] }> {
    const [seq, missing] = await this.#change(PutReply, PUT, [
      threadId, this.#now(), namespace, checkpointId, parentId ?? '', needsParents ? 1 : 0, toBuffer(body), toBuffer(metadata),
      prune?.upTo ?? '', prune?.isResting === true ? 1 : 0, lists.length, ...lists.flatMap(({ channel, refs }) => [channel, joinRefs(refs)]),
      ...Array.from(items).flatMap(([ref, value]) => [ref, toBuffer(value)])
    ])
    return { seq, missing }
  }

  async putWrites (
    [threadId, namespace, checkpointId]: Key, taskId: string, taskPath: string, writes: readonly NewWrite[], isReplacing: boolean
  ): Promise<void> {
    await this.#change(Type.Null(), PUT_WRITES, [
      threadId, this.#now(), namespace, checkpointId, taskId, taskPath, isReplacing ? 1 : 0,
      ...writes.flatMap(({ index, channel, type, value }) => [index, channel, type, type === BYTES ? toBuffer(value).toString('base64') : toBuffer(value)])
    ])
  }

  async delete (threadId: string): Promise<void> {
    await this.#change(Type.Null(), DELETE, [threadId])
  }

  /** Reads a checkpoint; the newest one of its namespace if none is named. */
  async read (threadId: string, namespace: string, checkpointId = ''): Promise<RedisCheckpoint | undefined> {
    const reply = await this.#read(ReadReply, READ, ['', threadId, namespace, checkpointId, TASKS])
    if (reply === null) return undefined
    const [id, parentId, body, metadata, lists, writes, parentWrites] = reply
    return {
      row: { threadId, namespace, checkpointId: id, parentId: parentId === '' ? null : parentId, body, metadata },
      lists: parseLists(lists),
      writes: parseWrites(writes),
      parentWrites: parseWrites(parentWrites)
    }
  }

  /** Reads items; what is not there is left out. */
  async readItems (threadId: string, refs: readonly string[]): Promise<Map<string, string>> {
    if (refs.length === 0) return new Map()
    const values = await this.#read(ItemsReply, READ_ITEMS, ['', threadId, ...refs])
    return new Map(refs.flatMap((ref, index) => typeof values[index] === 'string' ? [[ref, values[index]]] : []))
  }

  /** The checkpoints of a thread, newest first. */
  async readOrder (threadId: string): Promise<OrderedCheckpoint[]> {
    const rows = await this.#read(OrderReply, READ_ORDER, ['', threadId])
    return rows.map(([seq, namespace, checkpointId]) => ({ seq, key: [threadId, namespace, checkpointId] }))
  }

  /** Threads in the order of their ids; all of them without a limit. */
  async list (afterThreadId: string, limit = -1): Promise<ThreadActivity[]> {
    const rows = await this.#read(ListReply, LIST, [afterThreadId, limit])
    return rows.map(([threadId, writtenMs]) => ({ threadId, lastWriteMs: Number(writtenMs) }))
  }

  /** Asks which turn this is when it is called: what a turn began belongs to it. */
  async #change<S extends TSchema> (schema: S, lua: string, args: readonly ScriptArgument[]): Promise<Static<S>> {
    return checkReply(schema, await hearRedis(this.#connection.run(lua, currentLease()?.id ?? '', ...args)))
  }

  async #read<S extends TSchema> (schema: S, lua: string, args: readonly ScriptArgument[]): Promise<Static<S>> {
    return checkReply(schema, await hearRedis(this.#connection.read(lua, ...args)))
  }
}

function parseLists (flat: readonly string[]): RefList[] {
  return Array.from({ length: flat.length / 2 }, (_, index) => ({ channel: flat[2 * index] ?? '', refs: splitRefs(flat[2 * index + 1] ?? '') }))
}

/** In the order in which LangGraph applies them. */
function parseWrites (writes: ReadonlyArray<Static<typeof StoredWrite>>): WriteRow[] {
  const keyed = writes.map(([path, taskId, index, channel, type, value]) => ({
    key: writesSortKey(path, taskId, Number(index)),
    row: { taskId, taskPath: path, index: Number(index), channel, type, value: Buffer.from(value, type === BYTES ? 'base64' : 'utf8') }
  }))
  return keyed.sort((a, b) => compareWritesSortKeys(a.key, b.key)).map(({ row }) => row)
}

/** The same bytes. */
function toBuffer (bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
