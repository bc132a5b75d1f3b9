import { ServiceError } from './errors.ts'
import { parseMoveAddress, type MoveAddress, type MoveSettings } from './move-address.ts'
import type { SessionPlace } from './sessions/move/place.ts'

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
  return address.kind === 'redis' ? await openRedis(address, settings.timeoutMs) : await openPostgres(address)
}

async function openPostgres (address: MoveAddress & { readonly kind: 'postgres' }): Promise<SessionServer> {
  const [{ connectPostgres, hasTables }, { PostgresSessionPlace }] =
    await Promise.all([import('./move-postgres.ts'), import('./sessions/move/postgres-place.ts')])
  const { name } = address
  const pool = await connectPostgres(address)
  const place = new PostgresSessionPlace(pool)
  const close = async (): Promise<void> => { await pool.close() }
  try {
    if (await hasTables(pool)) return { name, read: () => place.read(), close }
    throw new ServiceError('SETTING_INVALID', { message: `There are no sessions in ${name}` })
  } catch (error) {
    // Connections that are kept would keep the process, too.
    await close()
    throw error
  }
}

async function openRedis (address: MoveAddress & { readonly kind: 'redis' }, timeoutMs: number): Promise<SessionServer> {
  const [{ connectRedis }, { RedisSessionPlace }] = await Promise.all([import('./move-redis.ts'), import('./sessions/move/redis-place.ts')])
  const connection = await connectRedis(address)
  const place = new RedisSessionPlace(connection, timeoutMs)
  return { name: address.name, read: () => place.read(), close: async () => { await connection.close() } }
}
