import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres'
import type { Pool } from 'pg'
import { withMigrationLock } from '../../postgres/migrate.ts'
import type { PostgresPool } from '../../postgres/pool.ts'
import { FUNCTIONS } from './functions.ts'

/** Where LangGraph's tables are. */
const SCHEMA = 'holdline'

/**
 * What LangGraph's tables lack.
 *
 * - `checkpoints.holdline_seq` only rises, over all threads; the newest checkpoint of a thread is the one with the largest: no clock is asked.
 * - `checkpoints.written_at` tells which threads are at rest.
 * - `checkpoint_writes.task_path` is part of the order in which LangGraph applies writes.
 */
const ADDITIONS = `
  ALTER TABLE holdline.checkpoints ADD COLUMN holdline_seq bigserial, ADD COLUMN written_at timestamptz(3) NOT NULL DEFAULT clock_timestamp();
  CREATE UNIQUE INDEX checkpoints_by_seq ON holdline.checkpoints (thread_id, checkpoint_ns, holdline_seq);
  ALTER TABLE holdline.checkpoint_writes ADD COLUMN task_path text COLLATE "C" NOT NULL DEFAULT '';
  ${FUNCTIONS}`

const FIND_ADDITIONS = `SELECT 1 FROM pg_attribute
  WHERE attrelid = to_regclass('holdline.checkpoints') AND attname = 'holdline_seq' AND NOT attisdropped`

/**
 * Makes LangGraph's tables, by its own migrations, and adds what they lack: all of it, or nothing. Any number of processes may do so at the same
 * time, which LangGraph's `setup` by itself cannot bear. Throws STORE_UNREACHABLE.
 */
export async function makeTables (pool: PostgresPool): Promise<void> {
  await withMigrationLock(pool, async client => {
    // Its first query is for a table that has to be there: one that fails ends the transaction.
    await client.query('CREATE TABLE IF NOT EXISTS holdline.checkpoint_migrations (v integer PRIMARY KEY)')
    const connection = {
      // The schema is there. To ask for it IF NOT EXISTS takes a right that whoever owns one schema of a database need not have.
      query: async (text: string, values?: unknown[]) => text.startsWith('CREATE SCHEMA') ? undefined : await client.query(text, values),
      release: () => {}
    }
    await new PostgresSaver(lend(pool.pool, async () => connection), undefined, { schema: SCHEMA }).setup()
    // Not `IF NOT EXISTS`, which takes the lock of the table all the same.
    if ((await client.query(FIND_ADDITIONS)).rowCount === 0) await client.query(ADDITIONS)
  })
}

/** A pool that hands out this connection alone. */
function lend (pool: Pool, connect: () => Promise<unknown>): Pool {
  return new Proxy(pool, { get: (target, key) => key === 'connect' ? connect : Reflect.get(target, key, target) })
}
