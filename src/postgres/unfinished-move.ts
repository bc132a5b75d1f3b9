import { ServiceError } from '../errors.ts'
import type { PostgresPool } from './pool.ts'

/** Throws SETTING_INVALID while sessions are being moved to a database, which then lacks some. To be asked after the migrations. */
export async function refuseUnfinishedMove (pool: Pick<PostgresPool, 'query'>): Promise<void> {
  const [move] = await pool.query<{ source: string }>('SELECT source FROM holdline.moves LIMIT 1')
  if (move === undefined) return
  throw new ServiceError('SETTING_INVALID', {
    message: `The move from ${move.source} to the database that DATABASE_URL names is not finished: run it again (sessions migrate)`
  })
}
