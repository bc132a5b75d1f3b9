import {
  BaseStore, type GetOperation, type Item, type ListNamespacesOperation, type Operation, type OperationResults, type PutOperation,
  type SearchItem, type SearchOperation
} from '@langchain/langgraph-checkpoint'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { boundNamespaces, formatNamespace, matchesFilter, parseItem, selectNamespaces } from '../items.ts'
import { hold, Statement } from './statement.ts'
import type { ConversationTables, Send } from './tables.ts'

const Row = Type.Object({
  namespace: Type.String(), key: Type.String(), value: Type.String(), created_ms: Type.Number(), updated_ms: Type.Number()
})
const NamespaceRow = Type.Object({ namespace: Type.String() })

const SELECT_ITEMS = `SELECT namespace, key, value::text, (extract(epoch FROM created_at) * 1000)::float8 AS created_ms,
  (extract(epoch FROM updated_at) * 1000)::float8 AS updated_ms FROM holdline.items`

/** Items that are looked through at a time, where not all of them are what is looked for. */
const PAGE = 500

/** Where a page of items ended. */
type Position = readonly [createdMs: number, key: string, namespace: string]

/**
 * What agents remember beyond a conversation, in Postgres.
 *
 * LangGraph's own store for Postgres is not used: it looks for a namespace by the beginning of its text, and so finds the notes of another person,
 * whose id begins like the one that is asked for.
 *
 * *Promise.* A put is durable when its promise resolves; operations of one batch are applied together. What is put in a turn is put under its lease:
 * a replica that lost it keeps nothing.
 *
 * *Not promised.* Search by meaning: `query` and `index` are ignored, as LangGraph's stores do without an embedding model.
 */
export class PostgresNotes extends BaseStore {
  readonly #tables: ConversationTables
  readonly #now: () => number

  constructor (tables: ConversationTables, now: () => number) {
    super()
    this.#tables = tables
    this.#now = now
  }

  override async batch<Op extends Operation[]> (operations: Op): Promise<OperationResults<Op>> {
    const results = operations.length > 1
      ? await this.#tables.transact(async send => await this.#runAll(send, operations))
      : await this.#runAll(this.#tables.send, operations)
    // One result for each operation, in its order: the mapped type cannot be built element by element.
    return results as OperationResults<Op>
  }

  async #runAll (send: Send, operations: readonly Operation[]): Promise<unknown[]> {
    const results: unknown[] = []
    for (const operation of operations) results.push(await this.#run(send, operation))
    return results
  }

  async #run (send: Send, operation: Operation): Promise<Item | null | SearchItem[] | string[][] | undefined> {
    if ('namespacePrefix' in operation) return await search(send, operation)
    if ('value' in operation) return await this.#put(send, operation)
    if ('key' in operation) return await getItem(send, operation)
    return await listNamespaces(send, operation)
  }

  async #put (send: Send, { namespace, key, value }: PutOperation): Promise<undefined> {
    const path = formatNamespace(namespace)
    await send(value === null ? deleteItem(path, key) : putItem(path, key, JSON.stringify(value), this.#now()))
  }
}

function putItem (path: string, key: string, value: string, nowMs: number): Statement {
  return new Statement(note => {
    const held = hold(note)
    const at = `to_timestamp(${note(nowMs)}::float8 / 1000)`
    return `${held} INSERT INTO holdline.items (namespace, key, value, created_at, updated_at)
      SELECT ${note(path)}, ${note(key)}, ${note(value)}::json, ${at}, ${at} FROM held
      ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`
  })
}

function deleteItem (path: string, key: string): Statement {
  return new Statement(note => `${hold(note)}, deleted AS (DELETE FROM holdline.items WHERE namespace = ${note(path)} AND key = ${note(key)})
    SELECT FROM held`)
}

async function getItem (send: Send, { namespace, key }: GetOperation): Promise<Item | null> {
  const [row] = await send({ text: `${SELECT_ITEMS} WHERE namespace = $1 AND key = $2`, values: [formatNamespace(namespace), key] })
  return row === undefined ? null : readItem(row)
}

async function search (send: Send, { namespacePrefix, filter = {}, limit = 10, offset = 0 }: SearchOperation): Promise<SearchItem[]> {
  const size = Object.keys(filter).length === 0 ? offset + limit : PAGE
  const found: SearchItem[] = []
  for (let after: Position | undefined, isMore = found.length < offset + limit; isMore;) {
    const page = (await send(selectPage(namespacePrefix, after, size))).map(readItem)
    found.push(...page.filter(item => matchesFilter(item.value, filter)))
    const last = page.at(-1)
    if (last !== undefined) after = [last.createdAt.getTime(), last.key, formatNamespace(last.namespace)]
    isMore = page.length === size && found.length < offset + limit
  }
  return found.slice(offset, offset + limit)
}

function selectPage (prefix: readonly string[], after: Position | undefined, size: number): Statement {
  return new Statement(note => {
    const [from, before] = boundNamespaces(prefix) ?? []
    const conditions = [
      ...from === undefined ? [] : [`namespace >= ${note(from)} AND namespace < ${note(before)}`],
      ...after === undefined ? [] : [`(created_at, key, namespace) > (to_timestamp(${note(after[0])}::float8 / 1000), ${note(after[1])}, ${note(after[2])})`]
    ]
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    return `${SELECT_ITEMS} ${where} ORDER BY created_at, key, namespace LIMIT ${note(size)}`
  })
}

async function listNamespaces (send: Send, operation: ListNamespacesOperation): Promise<string[][]> {
  const rows = await send({ text: 'SELECT DISTINCT namespace FROM holdline.items ORDER BY namespace', values: [] })
  return selectNamespaces(rows.map(row => Value.Parse(NamespaceRow, row).namespace), operation)
}

function readItem (row: unknown): Item {
  const { created_ms: createdMs, updated_ms: updatedMs, ...rest } = Value.Parse(Row, row)
  return parseItem({ ...rest, createdMs, updatedMs })
}
