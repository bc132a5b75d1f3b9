import { randomUUID } from 'node:crypto'
import type { Conversations } from './agent/conversations.ts'
import { openPostgresConversations } from './agent/postgres/open.ts'
import type { Engine, EngineConversationOptions, EngineSessionOptions } from './engine.ts'
import type { Log } from './log.ts'
import { PostgresClock } from './postgres/clock.ts'
import { PostgresEvents } from './postgres/events.ts'
import { PostgresLeads } from './postgres/leads.ts'
import { migrate } from './postgres/migrate.ts'
import { PostgresPool } from './postgres/pool.ts'
import { PostgresRequestCounts } from './postgres/request-counts.ts'
import { PostgresTurnLog } from './postgres/turn-log.ts'
import { PostgresTurnQueue } from './postgres/turn-queue.ts'
import { refuseUnfinishedMove } from './postgres/unfinished-move.ts'
import type { RequestCount } from './request-counts.ts'
import { PostgresSessionStore } from './sessions/postgres/store.ts'
import type { SessionStore } from './sessions/store.ts'
import type { TurnLog } from './turn-log.ts'
import { refuseFailure } from './turn-refusal.ts'

/** Which server, and how it is used. */
export interface PostgresEngineOptions {
  readonly url: string
  /** Connections at most, beside the one for events. */
  readonly poolSize: number
  /** The clock of this machine, until the server has told the time. */
  readonly now: () => number
  readonly log: Log
}

/** A clock that is so far off is worth a line: what else is on the machine goes by it. */
const MAX_DRIFT_MS = 10_000

/** One database of Postgres, which any number of replicas share: sessions, conversations, and what the replicas tell each other. */
export class PostgresEngine implements Engine {
  readonly kind = 'postgres'
  readonly now: () => number
  readonly turnLog: TurnLog
  readonly #pool: PostgresPool
  readonly #clock: PostgresClock
  readonly #events: PostgresEvents
  readonly #turns: PostgresTurnQueue
  readonly #counts: PostgresRequestCounts
  readonly #leads: PostgresLeads

  private constructor (pool: PostgresPool, events: PostgresEvents, clock: PostgresClock, log: Log) {
    this.#pool = pool
    this.#clock = clock
    this.#events = events
    this.#turns = new PostgresTurnQueue({ pool, events, clock, log })
    this.#counts = new PostgresRequestCounts({ pool, log })
    this.#leads = new PostgresLeads({ pool, owner: randomUUID() })
    this.turnLog = new PostgresTurnLog({ pool })
    this.now = clock.now
  }

  /**
   * Waits for the server, and brings up what is kept there.
   *
   * @throws ServiceError SETTING_INVALID, STORE_UNREACHABLE.
   */
  static async open ({ url, poolSize, now, log }: PostgresEngineOptions): Promise<PostgresEngine> {
    const pool = new PostgresPool({ url, max: poolSize, log })
    try {
      await pool.open()
      await migrate(pool)
      await refuseUnfinishedMove(pool)
      const clock = new PostgresClock({ now })
      await setClock(clock, pool)
      const driftMs = Math.round(now() - clock.now())
      if (Math.abs(driftMs) > MAX_DRIFT_MS) log.warn({ drift_ms: driftMs }, 'The clock of this machine is wrong, or that of Postgres is, which is used: compare them')
      const events = new PostgresEvents({ url, pool, log })
      await events.start()
      return new PostgresEngine(pool, events, clock, log)
    } catch (error) {
      await pool.close()
      throw error
    }
  }

  createSessionStore (options: EngineSessionOptions): SessionStore {
    return new PostgresSessionStore({ pool: this.#pool, turns: this.#turns, ...options })
  }

  async openConversations (options: EngineConversationOptions): Promise<Conversations> {
    return await openPostgresConversations({ pool: this.#pool, ...options })
  }

  async count (kind: string, key: string, windowMs: number): Promise<RequestCount> {
    return await refuseFailure(async () => await this.#counts.add(`${kind}:${key}`, windowMs))
  }

  async lead (task: string, forMs: number): Promise<boolean> {
    return await refuseFailure(async () => {
      // What a replica without turns removes is to be old by the time of all the others, too.
      await setClock(this.#clock, this.#pool)
      return await this.#leads.take(task, forMs)
    })
  }

  async close (): Promise<void> {
    await this.#turns.close()
    await this.#events.close()
    await this.#pool.close()
  }
}

async function setClock (clock: PostgresClock, pool: PostgresPool): Promise<void> {
  const sentAtMs = performance.now()
  const [found] = await pool.query<{ now_ms: number }>('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms')
  if (found === undefined) throw new TypeError('The time is always returned')
  clock.sync(found.now_ms, sentAtMs)
}
