import pg from 'pg'
import { withMigrationLock } from './migrate.ts'
import type { PostgresPool } from './pool.ts'

/**
 * What the order of a thread's checkpoints is told by: the ids are of the clock of whoever made them. Of those that are there already, the order in
 * which they stand there is the best that is known.
 */
const ORDER = `
ALTER TABLE holdline.checkpoints ADD COLUMN holdline_seq bigserial, ADD COLUMN written_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX checkpoints_by_order ON holdline.checkpoints (thread_id, checkpoint_ns, holdline_seq DESC);
`

type Callback = (error: Error | undefined, client: pg.PoolClient | undefined, done: () => void) => void

/** A pool of one connection, which somebody else opened and will close. */
class LentPool extends pg.Pool {
  readonly #client: pg.PoolClient

  constructor (client: pg.Client) {
    super({ max: 1 })
    this.#client = Object.assign(client, { release () {} })
  }

  override connect (): Promise<pg.PoolClient>
  override connect (callback: Callback): void
  override connect (callback?: Callback): Promise<pg.PoolClient> | undefined {
    if (callback === undefined) return Promise.resolve(this.#client)
    callback(undefined, this.#client, () => {})
    return undefined
  }
}

/**
 * Brings the tables up that LangGraph keeps checkpoints in, in the schema `holdline`, and then adds to them what tells their order.
 *
 * @param setUp LangGraph's own part, over a pool whose one connection is in a transaction; it must not fail to go on.
 */
export async function migrateCheckpoints (pool: PostgresPool, setUp: (pool: pg.Pool) => Promise<void>): Promise<void> {
  await withMigrationLock(pool, async client => {
    await setUp(new LentPool(client))
    const text = "SELECT 1 FROM pg_attribute WHERE attrelid = 'holdline.checkpoints'::regclass AND attname = 'holdline_seq'"
    const { rowCount } = await client.query(text)
    if (rowCount === 0) await client.query(ORDER)
  })
}
