import type { Database, Statement } from 'better-sqlite3'
import type { Range } from './ranges.ts'

/** A checkpoint as it lies in the file. */
export interface CheckpointRow {
  readonly seq: number
  readonly threadId: string
  readonly namespace: string
  readonly checkpointId: string
  readonly parentId: string | null
  /** None where the table that it was taken over from has lost it. */
  readonly body: Buffer | null
  readonly lists: string
  readonly metadata: Buffer | null
}

/** A checkpoint to be written. */
export interface NewCheckpoint {
  readonly threadId: string
  readonly namespace: string
  readonly checkpointId: string
  readonly parentId: string | null
  readonly body: Uint8Array
  readonly lists: string
  readonly metadata: Uint8Array
  /** 1 if it is complete only together with the checkpoints before it. */
  readonly needsParents: 0 | 1
  readonly writtenMs: number
}

/** One write of a task, beside a checkpoint. */
export interface WriteRow {
  readonly taskId: string
  readonly taskPath: string
  readonly index: number
  readonly channel: string
  readonly type: string
  readonly value: Buffer
}

/** Which checkpoint: of a thread, in a namespace, by its id. */
export type Key = readonly [threadId: string, namespace: string, checkpointId: string]

/** Which checkpoints to list; what is not given is not asked about. */
export interface Selection {
  readonly threadId?: string | undefined
  readonly namespace?: string | undefined
  readonly checkpointId?: string | undefined
  /** Those with a smaller place in the order. */
  readonly before?: number | undefined
}

const CONDITIONS = { threadId: 'thread_id = ?', namespace: 'checkpoint_ns = ?', checkpointId: 'checkpoint_id = ?', before: 'seq < ?' }

const ROW = `SELECT seq, new.thread_id AS threadId, new.checkpoint_ns AS namespace, new.checkpoint_id AS checkpointId, parent_id AS parentId,
    coalesce(body, checkpoint) AS body, lists, coalesce(new.metadata, old.metadata) AS metadata
  FROM thread_checkpoints AS new LEFT JOIN checkpoints AS old ON body IS NULL
    AND old.thread_id = new.thread_id AND old.checkpoint_ns = new.checkpoint_ns AND old.checkpoint_id = new.checkpoint_id`

/** The reading and writing of single rows; the tables have to be there (`makeTables`). */
export class Tables {
  readonly #db: Database
  readonly #newest: Statement<[string, string], CheckpointRow>
  readonly #byId: Statement<[string, string, string], CheckpointRow>
  readonly #bySeq: Statement<[number], CheckpointRow>
  readonly #lastSeq: Statement<[], number | null>
  readonly #channels: Statement<[{ threadId: string, namespace: string }], string>
  readonly #put: Statement<[NewCheckpoint], unknown>
  readonly #items: Statement<[string, number, number], { number: number, value: Buffer }>
  readonly #itemByDigest: Statement<[string, Buffer], number>
  readonly #nextItem: Statement<[string], number>
  readonly #putItem: Statement<[string, number, Buffer, Uint8Array], unknown>
  readonly #writes: Statement<[string, string, string], WriteRow>

  constructor (db: Database) {
    this.#db = db
    this.#newest = db.prepare(`${ROW} WHERE new.thread_id = ? AND new.checkpoint_ns = ? ORDER BY seq DESC LIMIT 1`)
    this.#byId = db.prepare(`${ROW} WHERE new.thread_id = ? AND new.checkpoint_ns = ? AND new.checkpoint_id = ?`)
    this.#bySeq = db.prepare(`${ROW} WHERE seq = ?`)
    this.#lastSeq = db.prepare<[], number | null>('SELECT max(seq) FROM thread_checkpoints').pluck()
    this.#channels = db.prepare<[{ threadId: string, namespace: string }], string>(`
      WITH found AS (${ROW} WHERE new.thread_id = @threadId AND new.checkpoint_ns = @namespace)
      SELECT key FROM found, json_each(CAST(body AS TEXT), '$.channel_values') UNION SELECT key FROM found, json_each(lists)`).pluck()
    // One that is put again keeps its place in the order.
    this.#put = db.prepare(`INSERT INTO thread_checkpoints
        (thread_id, checkpoint_ns, checkpoint_id, parent_id, body, lists, metadata, needs_parents, written_ms)
      VALUES (@threadId, @namespace, @checkpointId, @parentId, @body, @lists, @metadata, @needsParents, @writtenMs)
      ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET parent_id = excluded.parent_id, body = excluded.body,
        lists = excluded.lists, metadata = excluded.metadata, needs_parents = excluded.needs_parents, written_ms = excluded.written_ms`)
    this.#items = db.prepare('SELECT number, value FROM thread_items WHERE thread_id = ? AND number BETWEEN ? AND ?')
    this.#itemByDigest = db.prepare<[string, Buffer], number>('SELECT number FROM thread_items WHERE thread_id = ? AND digest = ?').pluck()
    this.#nextItem = db.prepare<[string], number>('SELECT coalesce(max(number), 0) + 1 FROM thread_items WHERE thread_id = ?').pluck()
    this.#putItem = db.prepare('INSERT INTO thread_items (thread_id, number, digest, value) VALUES (?, ?, ?, ?)')
    // The order in which LangGraph applies them: SQLite compares the bytes of UTF-8, which is the order of code points that is asked for.
    this.#writes = db.prepare(`SELECT task_id AS taskId, task_path AS taskPath, idx AS "index", channel, type, value FROM writes
      WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ? ORDER BY task_path, task_id, idx`)
  }

  newest (threadId: string, namespace: string): CheckpointRow | undefined {
    return this.#newest.get(threadId, namespace)
  }

  byId (key: Key): CheckpointRow | undefined {
    return this.#byId.get(...key)
  }

  bySeq (seq: number): CheckpointRow | undefined {
    return this.#bySeq.get(seq)
  }

  /** The places in the order of the checkpoints that are asked for, newest first. */
  select ({ threadId, namespace, checkpointId, before }: Selection): number[] {
    const asked = Object.entries({ threadId, namespace, checkpointId, before }).filter(([, value]) => value !== undefined)
    const conditions = Object.entries(CONDITIONS).filter(([name]) => asked.some(([given]) => given === name)).map(([, sql]) => sql)
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
    const statement = this.#db.prepare<unknown[], number>(`SELECT seq FROM thread_checkpoints ${where} ORDER BY seq DESC`)
    return statement.pluck().all(...asked.map(([, value]) => value))
  }

  /** The place in the order of what was put last, in whichever thread. */
  lastSeq (): number {
    return this.#lastSeq.get() ?? 0
  }

  /** The channels that had a value in any checkpoint of a namespace. */
  channels (threadId: string, namespace: string): Set<string> {
    return new Set(this.#channels.all({ threadId, namespace }))
  }

  put (checkpoint: NewCheckpoint): void {
    this.#put.run(checkpoint)
  }

  items (threadId: string, [first, count]: Range): Array<{ number: number, value: Buffer }> {
    return this.#items.all(threadId, first, first + count - 1)
  }

  /** Returns the number of an item with this value, which is put if there is none. */
  putItem (threadId: string, digest: Buffer, value: Uint8Array): number {
    const known = this.#itemByDigest.get(threadId, digest)
    if (known !== undefined) return known
    const number = this.#nextItem.get(threadId) ?? 1
    this.#putItem.run(threadId, number, digest, value)
    return number
  }

  writes (key: Key): WriteRow[] {
    return this.#writes.all(...key)
  }
}
