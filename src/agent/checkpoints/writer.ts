import type { Database, Statement, Transaction } from 'better-sqlite3'
import { isDiskFailure } from '../disk-error.ts'
import { digestItem } from './digest.ts'
import type { Draft, DraftList } from './draft.ts'
import type { ThreadItems } from './item-memory.ts'
import { Pruning, type Prune } from './pruning.ts'
import { formatRanges } from './ranges.ts'
import type { Key, NewCheckpoint, Tables } from './tables.ts'

/** A write of a task, to be written. */
export interface NewWrite {
  readonly index: number
  readonly channel: string
  readonly type: string
  readonly value: Uint8Array
}

/** What is known of a checkpoint beside what is in it. */
export type Heading = Omit<NewCheckpoint, 'body' | 'lists' | 'metadata'>

/**
 * What changes the tables.
 *
 * *Promise.* Every call is one transaction: what it did is as durable as the database's settings make it once it returns, and undone if it throws.
 */
export class Writer {
  readonly #db: Database
  readonly #tables: Tables
  readonly #pruning: Pruning
  readonly #insertWrite: Statement<[...Key, string, number, string, string, Uint8Array, string], unknown>
  readonly #replaceWrite: Statement<[...Key, string, number, string, string, Uint8Array, string], unknown>
  readonly #transact: Transaction<(work: () => void) => void>

  constructor (db: Database, tables: Tables) {
    this.#db = db
    this.#tables = tables
    this.#pruning = new Pruning(db)
    const into = 'INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, value, task_path) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'
    this.#insertWrite = db.prepare(`INSERT OR IGNORE ${into}`)
    this.#replaceWrite = db.prepare(`INSERT OR REPLACE ${into}`)
    this.#transact = db.transaction((work: () => void) => { work() })
  }

  /**
   * Puts a checkpoint, and prunes the thread along with it: that costs no sync of its own.
   *
   * @returns Numbers of items that went: they may come to mean something else.
   */
  put (heading: Heading, draft: Draft, items: ThreadItems, prune: Prune | undefined): number[] {
    let gone: number[] = []
    let numbered: Array<readonly [DraftList, number[]]> = []
    this.#transact.immediate(() => {
      numbered = draft.lists.map(list => [list, this.#numberItems(heading.threadId, list)])
      const lists = Object.fromEntries(numbered.map(([{ channel }, numbers]) => [channel, formatRanges(numbers)]))
      this.#tables.put({ ...heading, body: draft.body, lists: JSON.stringify(lists), metadata: draft.metadata })
      if (prune !== undefined) gone = this.#tryPrune(heading.threadId, prune)
    })
    for (const [{ fresh }, numbers] of numbered) {
      for (const { index, shape, value } of fresh) {
        const number = numbers[index]
        if (number !== undefined && shape !== undefined) items.keepLive(number, shape, value.length)
      }
    }
    return gone
  }

  putWrites (key: Key, taskId: string, taskPath: string, writes: readonly NewWrite[], isReplacing: boolean): void {
    const statement = isReplacing ? this.#replaceWrite : this.#insertWrite
    this.#transact.immediate(() => {
      for (const { index, channel, type, value } of writes) statement.run(...key, taskId, index, channel, type, value, taskPath)
    })
  }

  /** Writes of several tasks; those that are in their places already stay. */
  placeWrites (key: Key, writes: ReadonlyArray<NewWrite & { readonly taskId: string, readonly taskPath: string }>): void {
    this.#transact.immediate(() => {
      for (const { taskId, taskPath, index, channel, type, value } of writes) {
        this.#insertWrite.run(...key, taskId, index, channel, type, value, taskPath)
      }
    })
  }

  deleteThread (threadId: string): void {
    this.#transact.immediate(() => { this.#pruning.deleteThread(threadId) })
  }

  #numberItems (threadId: string, { refs, fresh }: DraftList): number[] {
    const all = new Map(refs.entries())
    for (const { index, value } of fresh) {
      all.set(index, this.#tables.putItem(threadId, digestItem(value), value))
    }
    return Array.from(all.values(), number => {
      if (number === undefined) throw new Error('An item of a list was not written')
      return number
    })
  }

  /** A thread that cannot be pruned, because one of its checkpoints is no longer readable, goes on; a failing disk ends all. */
  #tryPrune (threadId: string, prune: Prune): number[] {
    let gone: number[] = []
    try {
      // Within another one it can be taken back alone.
      this.#transact(() => { gone = this.#pruning.prune(threadId, prune) })
    } catch (error) {
      // Some errors make SQLite take back everything: then there is nothing left to commit.
      if (isDiskFailure(error) || !this.#db.inTransaction) throw error
    }
    return gone
  }
}
