import type { Log } from '../log.ts'
import type { RequestCount } from '../request-counts.ts'
import { explainPostgresError } from './errors.ts'
import type { PostgresPool } from './pool.ts'

/** What the counts are kept in. */
export interface PostgresRequestCountsOptions {
  readonly pool: PostgresPool
  readonly log: Log
}

/** Between two cleanups, of each replica. */
const CLEANUP_MS = 60_000

/** Removed at once; what is left then is for the next cleanup. */
const MAX_REMOVED = 10_000

const ADD = `
INSERT INTO holdline.request_counts AS c (key, count, ends_at) VALUES ($1, 1, clock_timestamp() + $2 * interval '1 ms')
ON CONFLICT (key) DO UPDATE SET
  count = CASE WHEN c.ends_at <= clock_timestamp() THEN 1 ELSE c.count + 1 END,
  ends_at = CASE WHEN c.ends_at <= clock_timestamp() THEN excluded.ends_at ELSE c.ends_at END
RETURNING count, greatest(0, extract(epoch FROM ends_at - clock_timestamp()) * 1000)::float8 AS left_ms`

// What somebody counts in at this moment is not over.
const REMOVE = `
DELETE FROM holdline.request_counts WHERE key IN (
  SELECT key FROM holdline.request_counts WHERE ends_at < clock_timestamp() LIMIT $1 FOR UPDATE SKIP LOCKED)`

/**
 * Counts of requests by key that all replicas share, each in windows of its own, by the clock of the server.
 *
 * *Promise.* One round trip a count. What is over is removed.
 *
 * *Not promised.* Counts across a crash of the server.
 */
export class PostgresRequestCounts {
  readonly #options: PostgresRequestCountsOptions
  #cleanedAtMs = performance.now()

  constructor (options: PostgresRequestCountsOptions) {
    this.#options = options
  }

  /** Counts one more. */
  async add (key: string, windowMs: number): Promise<RequestCount> {
    const [found] = await this.#options.pool.query<{ count: number, left_ms: number }>(ADD, [key, windowMs])
    if (found === undefined) throw new TypeError('A count is always returned')
    if (performance.now() - this.#cleanedAtMs > CLEANUP_MS) {
      this.#cleanedAtMs = performance.now()
      // Nobody waits for it.
      this.clean().catch((error: unknown) => {
        this.#options.log.warn({ err: error }, `Old counts of requests stay for now: ${explainPostgresError(error)}`)
      })
    }
    return { count: found.count, leftMs: found.left_ms }
  }

  /** Removes what is over. */
  async clean (): Promise<void> {
    await this.#options.pool.query(REMOVE, [MAX_REMOVED])
  }
}
