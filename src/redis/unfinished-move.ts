import type { Redis } from 'ioredis'
import { ServiceError } from '../errors.ts'
import { KEY_PREFIX } from './client.ts'

/** What stands there for as long as sessions are being moved here, and says from where. */
export const MOVE_KEY = `${KEY_PREFIX}move`

/** Throws SETTING_INVALID while sessions are being moved to a Redis, which then lacks some. */
export async function refuseUnfinishedMove (client: Pick<Redis, 'get'>): Promise<void> {
  const source = await client.get(MOVE_KEY)
  if (source === null) return
  throw new ServiceError('SETTING_INVALID', {
    message: `The move from ${source} to the Redis that REDIS_URL names is not finished: run it again (sessions migrate)`
  })
}
