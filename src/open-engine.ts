import { formatRefusal, resolveConversationsPath, type Config } from './config.ts'
import type { Engine } from './engine.ts'
import { ServiceError } from './errors.ts'
import { LocalEngine } from './local-engine.ts'
import type { Log } from './log.ts'

/** Which engine, and how it is reached. */
export interface OpenEngineOptions {
  readonly config: Pick<Config, 'SESSION_STORE' | 'SESSIONS_CSV_PATH' | 'SESSIONS_FSYNC' | 'CONVERSATIONS_PATH' | 'DATABASE_URL' | 'DATABASE_POOL_SIZE' | 'REDIS_URL'>
  /** The clock of this machine; the engine may have a better one. */
  readonly now: () => number
  readonly log: Log
}

/** Opens the engine that SESSION_STORE names. Throws SETTING_INVALID for a setting that it lacks, STORE_UNREACHABLE if it does not answer. */
export async function openEngine ({ config, now, log }: OpenEngineOptions): Promise<Engine> {
  if (config.SESSION_STORE === 'postgres') {
    const url = demand(config, 'DATABASE_URL')
    // A service that keeps files never loads what it would reach a server with.
    const { PostgresEngine } = await import('./postgres-engine.ts')
    return await PostgresEngine.open({ url, poolSize: config.DATABASE_POOL_SIZE, now, log })
  }
  if (config.SESSION_STORE === 'redis') {
    const url = demand(config, 'REDIS_URL')
    const { DATABASE_URL: databaseUrl, DATABASE_POOL_SIZE: poolSize } = config
    const database = databaseUrl === undefined ? undefined : { url: databaseUrl, poolSize }
    const { RedisEngine } = await import('./redis-engine.ts')
    return await RedisEngine.open({ url, database, now, log })
  }
  return new LocalEngine({
    sessionsPath: config.SESSIONS_CSV_PATH, conversationsPath: resolveConversationsPath(config), fsync: config.SESSIONS_FSYNC, now
  })
}

function demand (config: OpenEngineOptions['config'], name: 'DATABASE_URL' | 'REDIS_URL'): string {
  const value = config[name]
  if (value !== undefined) return value
  throw new ServiceError('SETTING_INVALID', { message: `${formatRefusal(name, value)}; SESSION_STORE=${config.SESSION_STORE} needs it` })
}
