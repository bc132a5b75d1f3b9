import type { Database } from 'better-sqlite3'
import { parseUuid6Time } from './uuid6.ts'

/**
 * The tables of the threads.
 *
 * - `thread_checkpoints`: `seq` only rises, over all threads; the newest checkpoint of a thread is the one with the largest. `lists` tells which
 *   items make up which channel (`{"messages":[[1,120]]}`: 120 items from number 1); the rest of the checkpoint is `body`. Where `body` is NULL, the
 *   checkpoint lies in `checkpoints`, LangGraph's own table, from which it was taken over.
 * - `thread_items`: what lists are made of, by thread; a row is never changed.
 * - `writes`: LangGraph's own table, and the path of the task beside it.
 */
const TABLES = `
  CREATE TABLE IF NOT EXISTS thread_checkpoints (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL, checkpoint_id TEXT NOT NULL, parent_id TEXT,
    body BLOB, lists TEXT NOT NULL DEFAULT '{}', metadata BLOB,
    needs_parents INTEGER NOT NULL DEFAULT 0, written_ms INTEGER NOT NULL,
    UNIQUE (thread_id, checkpoint_ns, checkpoint_id));
  CREATE INDEX IF NOT EXISTS thread_checkpoints_by_seq ON thread_checkpoints (thread_id, checkpoint_ns, seq);
  CREATE TABLE IF NOT EXISTS thread_items (
    thread_id TEXT NOT NULL, number INTEGER NOT NULL, digest BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (thread_id, number), UNIQUE (thread_id, digest));
  CREATE TABLE IF NOT EXISTS writes (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL, idx INTEGER NOT NULL, channel TEXT NOT NULL, type TEXT, value BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
  CREATE TABLE IF NOT EXISTS checkpoints (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL, parent_checkpoint_id TEXT,
    type TEXT, checkpoint BLOB, metadata BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));`

/**
 * Makes the tables that are not there, and takes over the threads that LangGraph's own saver wrote.
 *
 * *Promise.* All of it or nothing, and as often as may be. What was taken over stays where it is, and is only pointed at: a large file needs no
 * second copy of itself. It is in the order of its ids, as its saver took it to be.
 */
export function makeTables (db: Database): void {
  db.function('uuid6_ms', { deterministic: true }, id => parseUuid6Time(String(id)))
  const make = db.transaction(() => {
    db.exec(TABLES)
    const columns = db.prepare<[], string>("SELECT name FROM pragma_table_info('writes')").pluck().all()
    if (!columns.includes('task_path')) db.exec("ALTER TABLE writes ADD COLUMN task_path TEXT NOT NULL DEFAULT ''")
    db.exec(`INSERT INTO thread_checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_id, written_ms)
      SELECT thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, uuid6_ms(checkpoint_id) FROM checkpoints AS old
      WHERE NOT EXISTS (SELECT 1 FROM thread_checkpoints AS new WHERE new.thread_id = old.thread_id
        AND new.checkpoint_ns = old.checkpoint_ns AND new.checkpoint_id = old.checkpoint_id)
      ORDER BY checkpoint_id`)
  })
  make.immediate()
}
