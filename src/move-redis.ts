import { isEmpty } from './agent/move/conversations.ts'
import { openRedisConversations } from './agent/redis/open.ts'
import { ServiceError } from './errors.ts'
import type { Log } from './log.ts'
import { nameServer, type MoveAddress } from './move-address.ts'
import type { LookedAtPlace, MovePlace } from './move-place.ts'
import { openPostgresConversationPlace } from './move-postgres.ts'
import { RedisConnection } from './redis/client.ts'
import { explainRedisError } from './redis/errors.ts'
import { checkServer } from './redis/server-check.ts'
import { findRedisUse } from './redis/use.ts'
import { RedisSessionPlace } from './sessions/move/redis-place.ts'

type Address = MoveAddress & { readonly kind: 'redis' }

/** Whoever asks for a move is there to start the server. */
const CONNECT_MS = 3000
/** A server that writes much to its disk takes its time. */
const COMMAND_MS = 20_000

const SILENT: Log = { info () {}, warn () {}, error () {} }

/**
 * Opens a Redis that sessions are moved from, or to. The conversations go where a service with these settings looks for them: there, or into the
 * database of DATABASE_URL.
 *
 * @throws ServiceError STORE_UNREACHABLE; SETTING_INVALID for a source without sessions, and while a service works with it.
 */
export async function openRedisPlace (address: Address, role: 'source' | 'target', now: () => number, timeoutMs: number): Promise<MovePlace> {
  const { name, databaseUrl } = address
  const connection = await connectRedis(address)
  try {
    await refuseUsed(connection, name)
    const dangers = role === 'target' ? await listDangers(connection) : []
    const sessions = new RedisSessionPlace(connection, timeoutMs)
    if (role === 'source' && (await sessions.read().next()).done === true) {
      throw new ServiceError('SETTING_INVALID', { message: `There are no sessions in ${name}` })
    }
    const conversations = await openRedisConversations({ connection, now })
    // Those of a service that had no DATABASE_URL are here, whatever the settings say now.
    const isHere = databaseUrl === undefined || (role === 'source' && !await isEmpty(conversations))
    return {
      name,
      sessions,
      // A walk tells how many have gone.
      get notes () { return [...dangers, ...sessions.notes] },
      conversationsName: isHere ? name : nameServer(databaseUrl),
      openConversations: async () => isHere ? conversations : await openPostgresConversationPlace(databaseUrl, now),
      close: async () => { await connection.close() }
    }
  } catch (error) {
    await connection.close()
    throw error
  }
}

/** Looks whether a Redis may be moved to, and changes nothing. Throws STORE_UNREACHABLE or SETTING_INVALID. */
export async function lookAtRedisPlace (address: Address, timeoutMs: number): Promise<LookedAtPlace> {
  const { name, databaseUrl } = address
  const connection = await connectRedis(address)
  let dangers: readonly string[]
  try {
    await refuseUsed(connection, name)
    dangers = await listDangers(connection)
  } catch (error) {
    await connection.close()
    throw error
  }
  const sessions = new RedisSessionPlace(connection, timeoutMs)
  const conversationsName = databaseUrl === undefined ? name : nameServer(databaseUrl)
  return { name, sessions, notes: dangers, conversationsName, close: async () => { await connection.close() } }
}

/** Throws STORE_UNREACHABLE, in one line. */
export async function connectRedis ({ url, name }: Address): Promise<RedisConnection> {
  const connection = new RedisConnection({ url, log: SILENT, connectForMs: CONNECT_MS, commandTimeoutMs: COMMAND_MS })
  try {
    await connection.open()
    return connection
  } catch (error) {
    await connection.close()
    const cause: unknown = error instanceof ServiceError ? error.cause : error
    throw new ServiceError('STORE_UNREACHABLE', { message: `${name} cannot be used: ${explainRedisError(cause)}`, cause })
  }
}

/** Throws SETTING_INVALID for a server that cannot keep sessions at all. */
async function listDangers ({ client }: RedisConnection): Promise<string[]> {
  const dangers: string[] = []
  await checkServer(client, { ...SILENT, warn: (_, message) => { dangers.push(message) } })
  return dangers
}

async function refuseUsed ({ client }: RedisConnection, name: string): Promise<void> {
  const use = await findRedisUse(client)
  if (use !== undefined) throw new ServiceError('SETTING_INVALID', { message: `${name} is in use: ${use}. Stop the service on all machines` })
}
