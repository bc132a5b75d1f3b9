import type { Database, Statement } from 'better-sqlite3'
import { parseLists, parseRanges, subtractRanges } from './ranges.ts'

/** What a thread may be pruned of. */
export interface Prune {
  /** Everything up to here in the order, save the newest of it. */
  readonly upTo: number
  /** Whether the newest checkpoint asks nothing, so that no run of a subgraph is under way. */
  readonly isResting: boolean
}

interface PrunedRow {
  readonly seq: number
  readonly namespace: string
  readonly checkpointId: string
  readonly lists: string
  readonly needsParents: number
}

/** Runs of subgraphs have the id of a task in their namespace, behind this; a subgraph with a memory of its own has none. */
const TASK_ID_MARK = ':'

/**
 * Removes the checkpoints of a thread that nothing needs any more.
 *
 * *Promise.* In every namespace the newest checkpoint stays, with its writes and all its items; only of a resting thread the namespaces of subgraph
 * runs go. A newest checkpoint that is complete only with its parents keeps them all.
 */
export class Pruning {
  readonly #rows: Statement<[string], PrunedRow>
  readonly #deletes: ReadonlyArray<Statement<[string, string, string], unknown>>
  readonly #deleteItems: Statement<[string, number, number], unknown>
  readonly #deleteAll: ReadonlyArray<Statement<[string], unknown>>

  constructor (db: Database) {
    this.#rows = db.prepare(`SELECT seq, checkpoint_ns AS namespace, checkpoint_id AS checkpointId, lists, needs_parents AS needsParents
      FROM thread_checkpoints WHERE thread_id = ? ORDER BY seq DESC`)
    const key = 'thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?'
    this.#deletes = ['thread_checkpoints', 'checkpoints', 'writes'].map(table => db.prepare(`DELETE FROM ${table} WHERE ${key}`))
    this.#deleteItems = db.prepare('DELETE FROM thread_items WHERE thread_id = ? AND number BETWEEN ? AND ?')
    this.#deleteAll = ['thread_checkpoints', 'thread_items', 'checkpoints', 'writes'].map(table => db.prepare(`DELETE FROM ${table} WHERE thread_id = ?`))
  }

  /** To be run within a transaction. Returns the numbers of the items that went. */
  prune (threadId: string, prune: Prune): number[] {
    const rows = this.#rows.all(threadId)
    const doomed = listDoomed(rows, prune)
    if (doomed.size === 0) return []
    const kept = rows.filter(row => !doomed.has(row)).flatMap(row => Object.values(parseLists(row.lists)).flat())
    const lost = subtractRanges([...doomed].flatMap(row => Object.values(parseLists(row.lists)).flat()), kept)
    for (const { namespace, checkpointId } of doomed) {
      for (const statement of this.#deletes) statement.run(threadId, namespace, checkpointId)
    }
    for (const [first, count] of lost) this.#deleteItems.run(threadId, first, first + count - 1)
    return parseRanges(lost)
  }

  /** Removes a thread, whatever state it is in. To be run within a transaction. */
  deleteThread (threadId: string): void {
    for (const statement of this.#deleteAll) statement.run(threadId)
  }
}

/** @param rows Newest first. */
function listDoomed (rows: readonly PrunedRow[], { upTo, isResting }: Prune): Set<PrunedRow> {
  const doomed = new Set<PrunedRow>()
  const newest = new Map<string, PrunedRow>()
  for (const row of rows) {
    if (row.seq > upTo) continue
    const isOver = isResting && row.namespace.includes(TASK_ID_MARK)
    const first = newest.get(row.namespace)
    newest.set(row.namespace, first ?? row)
    if (isOver || (first !== undefined && first.needsParents === 0)) doomed.add(row)
  }
  return doomed
}
