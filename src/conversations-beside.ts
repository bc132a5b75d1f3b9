import type { Conversations } from './agent/conversations.ts'
import { openPostgresConversations } from './agent/postgres/open.ts'
import type { EngineConversationOptions } from './engine.ts'
import type { Log } from './log.ts'
import { migrate } from './postgres/migrate.ts'
import { PostgresPool } from './postgres/pool.ts'
import { PostgresTurnFences } from './postgres/turn-fences.ts'

/** Which database, and how much of it. */
export interface ConversationsBesideOptions {
  readonly url: string
  readonly poolSize: number
  readonly log: Log
}

/** How often leases that are over are removed. */
const CLEAN_MS = 60 * 60_000

/** Conversations in Postgres while sessions and turns are elsewhere. */
export class ConversationsBeside {
  /** What the turns are to be known by there. */
  readonly fences: PostgresTurnFences
  readonly #pool: PostgresPool
  readonly #timer: NodeJS.Timeout

  private constructor (pool: PostgresPool, log: Log) {
    this.#pool = pool
    this.fences = new PostgresTurnFences(pool)
    const clean = (): void => {
      this.fences.clean().catch((error: unknown) => { log.warn({ err: error }, 'Leases of turns that are over could not be removed; a later attempt follows') })
    }
    this.#timer = setInterval(clean, CLEAN_MS)
    this.#timer.unref()
    clean()
  }

  /** Throws STORE_UNREACHABLE or SETTING_INVALID. */
  static async open ({ url, poolSize, log }: ConversationsBesideOptions): Promise<ConversationsBeside> {
    const pool = new PostgresPool({ url, max: poolSize, log })
    try {
      await pool.open()
      await migrate(pool)
      return new ConversationsBeside(pool, log)
    } catch (error) {
      await pool.close()
      throw error
    }
  }

  async openConversations (options: EngineConversationOptions): Promise<Conversations> {
    return await openPostgresConversations({ pool: this.#pool, ...options })
  }

  async close (): Promise<void> {
    clearInterval(this.#timer)
    await this.#pool.close()
  }
}
