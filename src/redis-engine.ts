import { openRedisConversations } from './agent/redis/open.ts'
import type { Conversations } from './agent/conversations.ts'
import type { ConversationsBeside } from './conversations-beside.ts'
import type { Engine, EngineConversationOptions, EngineSessionOptions } from './engine.ts'
import { FencedTurns } from './fenced-turns.ts'
import type { Log } from './log.ts'
import { RedisConnection } from './redis/client.ts'
import { RedisEvents } from './redis/events.ts'
import { RedisLeads } from './redis/leads.ts'
import { RedisRequestCounts } from './redis/request-counts.ts'
import { checkServer } from './redis/server-check.ts'
import { RedisTurnLog } from './redis/turn-log.ts'
import { refuseUnfinishedMove } from './redis/unfinished-move.ts'
import { RedisTurnQueue } from './redis/turn-queue.ts'
import type { RequestCount } from './request-counts.ts'
import { RedisSessionStore } from './sessions/redis/store.ts'
import type { SessionStore } from './sessions/store.ts'
import type { TurnLog } from './turn-log.ts'
import { refuseFailure } from './turn-refusal.ts'

/** Which servers, and how they are used. */
export interface RedisEngineOptions {
  readonly url: string
  /** A database for the conversations; without it they are in Redis, too. */
  readonly database: { readonly url: string, readonly poolSize: number } | undefined
  /** The clock of this machine, which is compared with the server's. */
  readonly now: () => number
  readonly log: Log
}

/** A clock that is so far off is worth a line: what else is on the machine goes by it. */
const MAX_DRIFT_MS = 10_000

interface Parts {
  readonly connection: RedisConnection
  readonly events: RedisEvents
  readonly beside: ConversationsBeside | undefined
  readonly log: Log
}

/**
 * One Redis server, which any number of replicas share: sessions, what the replicas tell each other, and conversations, unless a database is there
 * for those.
 */
export class RedisEngine implements Engine {
  readonly kind = 'redis'
  readonly now: () => number
  readonly turnLog: TurnLog
  readonly #parts: Parts
  readonly #turns: RedisTurnQueue
  readonly #counts: RedisRequestCounts
  readonly #leads: RedisLeads

  private constructor (parts: Parts) {
    const { connection, events, log } = this.#parts = parts
    this.#turns = new RedisTurnQueue({ redis: connection, events, log })
    this.#counts = new RedisRequestCounts(connection)
    this.#leads = new RedisLeads(connection)
    this.turnLog = new RedisTurnLog({ redis: connection, events })
    this.now = connection.clock.now
  }

  /**
   * Waits for the servers, looks at whether they can keep what they are given, and brings up what is kept there.
   *
   * @throws ServiceError SETTING_INVALID, STORE_UNREACHABLE.
   */
  static async open ({ url, database, now, log }: RedisEngineOptions): Promise<RedisEngine> {
    const connection = new RedisConnection({ url, log })
    let beside: ConversationsBeside | undefined
    try {
      await connection.open()
      await checkServer(connection.client, log)
      await refuseUnfinishedMove(connection.client)
      const driftMs = Math.round(now() - connection.clock.now())
      if (Math.abs(driftMs) > MAX_DRIFT_MS) log.warn({ drift_ms: driftMs }, 'The clock of this machine is wrong, or that of Redis is, which is used: compare them')
      if (database !== undefined) beside = await openBeside(database, log)
      log.info({}, `Sessions are kept in Redis, conversations in ${beside === undefined ? 'Redis, too' : 'the Postgres of DATABASE_URL'}`)
      const events = new RedisEvents({ redis: connection, log })
      await events.start()
      return new RedisEngine({ connection, events, beside, log })
    } catch (error) {
      await beside?.close()
      await connection.close()
      throw error
    }
  }

  createSessionStore (options: EngineSessionOptions): SessionStore {
    const { connection, beside } = this.#parts
    const turns = beside === undefined ? this.#turns : new FencedTurns({ turns: this.#turns, connection, fences: beside.fences })
    return new RedisSessionStore({ connection, turns, ...options })
  }

  async openConversations (options: EngineConversationOptions): Promise<Conversations> {
    const { connection, beside } = this.#parts
    return beside === undefined ? await openRedisConversations({ connection, ...options }) : await beside.openConversations(options)
  }

  async count (kind: string, key: string, windowMs: number): Promise<RequestCount> {
    return await refuseFailure(() => this.#counts.add(kind, key, windowMs))
  }

  async lead (task: string, forMs: number): Promise<boolean> {
    return await refuseFailure(() => this.#leads.take(task, forMs))
  }

  async close (): Promise<void> {
    const { connection, events, beside } = this.#parts
    await this.#turns.close()
    await events.close()
    await beside?.close()
    await connection.close()
  }
}

/** Who keeps everything in Redis never loads what reaches Postgres. */
async function openBeside ({ url, poolSize }: { readonly url: string, readonly poolSize: number }, log: Log): Promise<ConversationsBeside> {
  const { ConversationsBeside } = await import('./conversations-beside.ts')
  return await ConversationsBeside.open({ url, poolSize, log })
}
