import { ServiceError } from './errors.ts'
import { parseMoveAddress, type MoveSettings } from './move-address.ts'
import { connectPostgres, hasTables } from './move-postgres.ts'
import { connectRedis } from './move-redis.ts'
import type { SessionPlace } from './sessions/move/place.ts'
import { PostgresSessionPlace } from './sessions/move/postgres-place.ts'
import { RedisSessionPlace } from './sessions/move/redis-place.ts'

/** Sessions on a server, to be looked at while services work with them. */
export interface SessionServer extends Pick<SessionPlace, 'read' | 'close'> {
  /** Without a secret. */
  readonly name: string
}

/**
 * Opens what SESSION_STORE names, to be looked at: nothing is changed, and nobody made to wait.
 *
 * @throws ServiceError SETTING_INVALID if it is not set, or has no sessions; STORE_UNREACHABLE.
 */
export async function openSessionServer (kind: 'postgres' | 'redis', settings: MoveSettings & { readonly timeoutMs: number }): Promise<SessionServer> {
  const address = parseMoveAddress(kind, settings)
  if (address.kind === 'csv') throw new TypeError('A file is no server')
  const { name } = address
  if (address.kind === 'redis') {
    const connection = await connectRedis(address)
    const place = new RedisSessionPlace(connection, settings.timeoutMs)
    return { name, read: () => place.read(), close: async () => { await connection.close() } }
  }
  const pool = await connectPostgres(address)
  const place = new PostgresSessionPlace(pool)
  const close = async (): Promise<void> => { await pool.close() }
  if (await hasTables(pool)) return { name, read: () => place.read(), close }
  await close()
  throw new ServiceError('SETTING_INVALID', { message: `There are no sessions in ${name}` })
}
