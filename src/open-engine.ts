import { resolveConversationsPath, type Config } from './config.ts'
import type { Engine } from './engine.ts'
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
export async function openEngine ({ config, now }: OpenEngineOptions): Promise<Engine> {
  return new LocalEngine({
    sessionsPath: config.SESSIONS_CSV_PATH, conversationsPath: resolveConversationsPath(config), fsync: config.SESSIONS_FSYNC, now
  })
}
