import { openPostgresConversations } from './agent/postgres/open.ts'
import type { Conversations } from './agent/conversations.ts'
import { ServiceError } from './errors.ts'
import type { Log } from './log.ts'
import { nameServer, type MoveAddress } from './move-address.ts'
import type { LookedAtPlace, MovePlace } from './move-place.ts'
import { explainPostgresError } from './postgres/errors.ts'
import { migrate } from './postgres/migrate.ts'
import { PostgresPool } from './postgres/pool.ts'
import { findPostgresUse } from './postgres/use.ts'
import { PostgresSessionPlace } from './sessions/move/postgres-place.ts'

type Address = MoveAddress & { readonly kind: 'postgres' }

/** As many statements as there are threads on their way. */
const CONNECTIONS = 8
/** Whoever asks for a move is there to start the server. */
const CONNECT_MS = 3000

const SILENT: Log = { info () {}, warn () {}, error () {} }

/**
 * Opens a database that sessions are moved from, or to; brings its tables up.
 *
 * @throws ServiceError STORE_UNREACHABLE; SETTING_INVALID for a source without sessions, and while a service works with the database.
 */
export async function openPostgresPlace (address: Address, role: 'source' | 'target', now: () => number): Promise<MovePlace> {
  const pool = await connectPostgres(address)
  try {
    if (await hasTables(pool)) await refuseUsed(pool, address.name)
    else if (role === 'source') throw new ServiceError('SETTING_INVALID', { message: `There are no sessions in ${address.name}` })
    await migrate(pool)
    return {
      name: address.name,
      sessions: new PostgresSessionPlace(pool),
      notes: [],
      conversationsName: address.name,
      openConversations: async () => await openPostgresConversations({ pool, now, log: SILENT }),
      close: async () => { await pool.close() }
    }
  } catch (error) {
    await pool.close()
    throw error
  }
}

/** Opens the conversations in a database whose sessions are elsewhere; brings its tables up. Throws STORE_UNREACHABLE. */
export async function openPostgresConversationPlace (url: string, now: () => number): Promise<Conversations> {
  const pool = await connectPostgres({ kind: 'postgres', name: nameServer(url), url })
  try {
    await migrate(pool)
    const conversations = await openPostgresConversations({ pool, now, log: SILENT })
    const close = conversations.close.bind(conversations)
    return Object.assign(conversations, {
      close: async () => {
        await close()
        await pool.close()
      }
    })
  } catch (error) {
    await pool.close()
    throw error
  }
}

/** Looks whether a database may be moved to, and changes nothing. Throws STORE_UNREACHABLE or SETTING_INVALID. */
export async function lookAtPostgresPlace (address: Address): Promise<LookedAtPlace> {
  const pool = await connectPostgres(address)
  try {
    const isMade = await hasTables(pool)
    if (isMade) await refuseUsed(pool, address.name)
    else await checkRights(pool, address.name)
    const sessions = isMade ? new PostgresSessionPlace(pool) : undefined
    return { name: address.name, sessions, notes: [], conversationsName: address.name, close: async () => { await pool.close() } }
  } catch (error) {
    await pool.close()
    throw error
  }
}

/** Throws STORE_UNREACHABLE, in one line. */
export async function connectPostgres ({ url, name }: Address): Promise<PostgresPool> {
  const pool = new PostgresPool({ url, max: CONNECTIONS, log: SILENT, firstConnectMs: CONNECT_MS })
  try {
    await pool.open()
    return pool
  } catch (error) {
    await pool.close()
    const cause: unknown = error instanceof ServiceError ? error.cause : error
    throw new ServiceError('STORE_UNREACHABLE', { message: `${name} cannot be used: ${explainPostgresError(cause)}`, cause })
  }
}

/** Whether a service ever started on a database. */
export async function hasTables (pool: PostgresPool): Promise<boolean> {
  const [row] = await pool.query<{ is_made: boolean }>("SELECT to_regclass('holdline.moves') IS NOT NULL AS is_made")
  return row?.is_made === true
}

async function checkRights (pool: PostgresPool, name: string): Promise<void> {
  const [row] = await pool.query<{ may_create: boolean }>("SELECT has_database_privilege(current_database(), 'CREATE') AS may_create")
  if (row?.may_create !== true) throw new ServiceError('SETTING_INVALID', { message: `The user of ${name} may not create a schema in it` })
}

async function refuseUsed (pool: PostgresPool, name: string): Promise<void> {
  const use = await findPostgresUse(pool)
  if (use !== undefined) throw new ServiceError('SETTING_INVALID', { message: `${name} is in use: ${use}. Stop the service on all machines` })
}
