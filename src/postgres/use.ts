import type { PostgresPool } from './pool.ts'

/** A connection that did something in this time belongs to somebody who is still there; a pooler keeps others for longer. */
const RECENT_SECONDS = 15

const LOOK = `SELECT
  (SELECT count(*)::integer FROM holdline.turns WHERE until > clock_timestamp()) AS turns,
  (SELECT count(*)::integer FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'holdline%' AND pid <> pg_backend_pid()
    AND (query ILIKE 'LISTEN%' OR state <> 'idle' OR state_change > clock_timestamp() - interval '${RECENT_SECONDS} seconds')) AS connections`

/**
 * What tells that a service works with the database, in words; undefined if nothing does. To be called while this process has one connection.
 *
 * *Not promised.* A service that has nothing to do, behind a pooler, shows itself in nothing.
 */
export async function findPostgresUse (pool: PostgresPool): Promise<string | undefined> {
  const [found] = await pool.query<{ turns: number, connections: number }>(LOOK)
  const { turns = 0, connections = 0 } = found ?? {}
  if (turns > 0) return `${turns} turns run or wait`
  return connections > 0 ? `a service is connected (${connections} connections)` : undefined
}
