import type { PostgresPool } from './pool.ts'

const TAKE = 'SELECT holdline.take_turn($1, $2, $3) AS is_taken'
const CLEAN = "DELETE FROM holdline.turn_fences WHERE taken_at < clock_timestamp() - interval '1 day'"

/**
 * The leases of turns that are queued elsewhere, for what is written here to be checked by.
 *
 * *Promise.* When `take` resolves to true, what was written under an earlier lease of the session is there to be read, and nothing more can be.
 */
export class PostgresTurnFences {
  readonly #pool: Pick<PostgresPool, 'query'>

  constructor (pool: Pick<PostgresPool, 'query'>) {
    this.#pool = pool
  }

  /** Makes a lease the one that counts; false if a later one has come before. `number` rises with each lease that is given. */
  async take (sessionId: string, leaseId: string, number: string): Promise<boolean> {
    const [row] = await this.#pool.query<{ is_taken: boolean }>(TAKE, [sessionId, leaseId, number])
    return row?.is_taken === true
  }

  /** Forgets the sessions that had no turn for a day. */
  async clean (): Promise<void> {
    await this.#pool.query(CLEAN)
  }
}
