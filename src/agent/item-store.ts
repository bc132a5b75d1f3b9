import {
  BaseStore, type GetOperation, type Item, type ListNamespacesOperation, type Operation, type OperationResults, type PutOperation,
  type SearchItem, type SearchOperation
} from '@langchain/langgraph-checkpoint'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Database } from 'better-sqlite3'
import { boundNamespaces, formatNamespace, matchesFilter, parseItem, selectNamespaces } from './items.ts'

const Row = Type.Object({
  namespace: Type.String(), key: Type.String(), value: Type.String(), created_at: Type.Integer(), updated_at: Type.Integer()
})

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
    return row === undefined ? null : readItem(row)
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
    const bounds = boundNamespaces(namespacePrefix)
    const range = bounds === undefined ? '' : 'WHERE namespace >= ? AND namespace < ?'
    let skipped = 0
    for (const row of this.#db.prepare(`SELECT * FROM items ${range} ORDER BY created_at, key`).iterate(...bounds ?? [])) {
      if (found.length === limit) break
      const item = readItem(row)
      if (!matchesFilter(item.value, filter)) continue
      if (skipped < offset) skipped++
      else found.push(item)
    }
    return found
  }

  #listNamespaces (operation: ListNamespacesOperation): string[][] {
    const paths = this.#db.prepare<[], string>('SELECT DISTINCT namespace FROM items ORDER BY namespace').pluck()
    return selectNamespaces(paths.iterate(), operation)
  }
}

function readItem (row: unknown): Item {
  const { created_at: createdMs, updated_at: updatedMs, ...rest } = Value.Parse(Row, row)
  return parseItem({ ...rest, createdMs, updatedMs })
}
