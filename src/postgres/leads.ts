import type { PostgresPool } from './pool.ts'

/** Who asks, where. */
export interface PostgresLeadsOptions {
  readonly pool: PostgresPool
  /** A UUID of this replica's own. */
  readonly owner: string
}

const TAKE = `
INSERT INTO holdline.leads AS l (task, owner, until) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 ms')
ON CONFLICT (task) DO UPDATE SET owner = excluded.owner, until = excluded.until
  WHERE l.owner = excluded.owner OR l.until < clock_timestamp()
RETURNING task`

/** Which replica does what one of them is to do, by the clock of the server. */
export class PostgresLeads {
  readonly #options: PostgresLeadsOptions

  constructor (options: PostgresLeadsOptions) {
    this.#options = options
  }

  /** Whether it is this one: of all that ask within `forMs`, the first. It stays it for as long as it asks again in time. */
  async take (task: string, forMs: number): Promise<boolean> {
    const { pool, owner } = this.#options
    return (await pool.query(TAKE, [task, owner, forMs])).length > 0
  }
}
