import {
  BaseStore, type GetOperation, type Item, type ListNamespacesOperation, type MatchCondition, type Operation, type OperationResults,
  type PutOperation, type SearchItem, type SearchOperation
} from '@langchain/langgraph-checkpoint'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Database } from 'better-sqlite3'

const Row = Type.Object({
  namespace: Type.String(), key: Type.String(), value: Type.String(), created_at: Type.Integer(), updated_at: Type.Integer()
})
const NamespaceRow = Type.Object({ namespace: Type.String() })
const ItemValue = Type.Record(Type.String(), Type.Unknown())

/** Ends every label in the column, so that a prefix of labels is a prefix of the text; its successor bounds the range. */
const LABEL_END = '\u001f'
const AFTER_LABEL_END = '\u0020'

/**
 * LangGraph's long-term memory in a SQLite table: what an agent keeps beyond a conversation.
 *
 * *Promise.* A `put` is as durable as the database's own settings when its promise resolves; operations of one batch are applied together.
 *
 * *Not promised.* Search by meaning: `query` and `index` are ignored, as LangGraph's stores do without an embedding model.
 */
export class ItemStore extends BaseStore {
  readonly #db: Database
  readonly #now: () => number

  constructor (db: Database, now: () => number = Date.now) {
    super()
    this.#db = db
    this.#now = now
    db.exec(`CREATE TABLE IF NOT EXISTS items (
      namespace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
      PRIMARY KEY (namespace, key)) WITHOUT ROWID`)
  }

  override async batch<Op extends Operation[]> (operations: Op): Promise<OperationResults<Op>> {
    const runAll = this.#db.transaction(() => operations.map(operation => this.#run(operation)))
    // One result for each operation, in its order: the mapped type cannot be built element by element.
    return runAll() as OperationResults<Op>
  }

  #run (operation: Operation): Item | null | SearchItem[] | string[][] | undefined {
    if ('namespacePrefix' in operation) return this.#search(operation)
    if ('value' in operation) return this.#put(operation)
    if ('key' in operation) return this.#get(operation)
    return this.#listNamespaces(operation)
  }

  #get ({ namespace, key }: GetOperation): Item | null {
    const row = this.#db.prepare('SELECT * FROM items WHERE namespace = ? AND key = ?').get(formatNamespace(namespace), key)
    return row === undefined ? null : parseItem(row)
  }

  #put ({ namespace, key, value }: PutOperation): undefined {
    const path = formatNamespace(namespace)
    if (value === null) {
      this.#db.prepare('DELETE FROM items WHERE namespace = ? AND key = ?').run(path, key)
      return
    }
    const now = this.#now()
    this.#db.prepare(`INSERT INTO items VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`).run(path, key, JSON.stringify(value), now, now)
  }

  #search ({ namespacePrefix, filter = {}, limit = 10, offset = 0 }: SearchOperation): SearchItem[] {
    const found: SearchItem[] = []
    const path = formatNamespace(namespacePrefix)
    const range = path === '' ? '' : 'WHERE namespace >= ? AND namespace < ?'
    const bounds = path === '' ? [] : [path, path.slice(0, -1) + AFTER_LABEL_END]
    let skipped = 0
    for (const row of this.#db.prepare(`SELECT * FROM items ${range} ORDER BY created_at, key`).iterate(...bounds)) {
      if (found.length === limit) break
      const item = parseItem(row)
      if (!matchesFilter(item.value, filter)) continue
      if (skipped < offset) skipped++
      else found.push(item)
    }
    return found
  }

  #listNamespaces ({ matchConditions = [], maxDepth, limit, offset }: ListNamespacesOperation): string[][] {
    const paths = new Map<string, string[]>()
    for (const row of this.#db.prepare('SELECT DISTINCT namespace FROM items ORDER BY namespace').iterate()) {
      const labels = parseNamespace(Value.Parse(NamespaceRow, row).namespace)
      if (!matchConditions.every(condition => matchesNamespace(labels, condition))) continue
      const cut = maxDepth === undefined ? labels : labels.slice(0, maxDepth)
      paths.set(formatNamespace(cut), cut)
    }
    return [...paths.values()].slice(offset, offset + limit)
  }
}

function formatNamespace (labels: readonly string[]): string {
  return labels.map(label => label.replaceAll(LABEL_END, '') + LABEL_END).join('')
}

function parseNamespace (path: string): string[] {
  return path.split(LABEL_END).slice(0, -1)
}

function parseItem (row: unknown): Item {
  const { namespace, key, value, created_at: createdAt, updated_at: updatedAt } = Value.Parse(Row, row)
  return {
    namespace: parseNamespace(namespace),
    key,
    value: Value.Parse(ItemValue, JSON.parse(value)),
    createdAt: new Date(createdAt),
    updatedAt: new Date(updatedAt)
  }
}

function matchesNamespace (labels: readonly string[], { matchType, path }: MatchCondition): boolean {
  if (labels.length < path.length) return false
  const part = matchType === 'prefix' ? labels.slice(0, path.length) : labels.slice(labels.length - path.length)
  return path.every((label, index) => label === '*' || label === part[index])
}

function matchesFilter (value: Readonly<Record<string, unknown>>, filter: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(filter).every(([field, expected]) => matchesCondition(value[field], expected))
}

/** LangGraph's filters: a value to equal, or an object of `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`. */
function matchesCondition (actual: unknown, expected: unknown): boolean {
  if (typeof expected !== 'object' || expected === null || !Object.keys(expected).some(key => key.startsWith('$'))) {
    return JSON.stringify(actual) === JSON.stringify(expected)
  }
  return Object.entries(expected).every(([operator, operand]) => {
    switch (operator) {
      case '$eq': return JSON.stringify(actual) === JSON.stringify(operand)
      case '$ne': return JSON.stringify(actual) !== JSON.stringify(operand)
      case '$gt': return Number(actual) > Number(operand)
      case '$gte': return Number(actual) >= Number(operand)
      case '$lt': return Number(actual) < Number(operand)
      case '$lte': return Number(actual) <= Number(operand)
      default: throw new Error(`The filter operator must be one of $eq, $ne, $gt, $gte, $lt, $lte, received ${operator}`)
    }
  })
}
