import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { isCoded, ServiceError } from '../errors.ts'
import type { Log } from '../log.ts'
import { dropTimeouts, formatLimitedBegin, makePoolConfig, TIMEOUTS, type PostgresTimeouts } from './connection-config.ts'
import { explainPostgresError, isConnectionLost, isWriteRefused } from './errors.ts'
import { Reachability } from './reachability.ts'

/** Which server, and how much of it. */
export interface PostgresPoolOptions {
  readonly url: string
  /** Connections at most. */
  readonly max: number
  readonly log: Log
  readonly timeouts?: PostgresTimeouts
  /** How long the first connection is tried for: a database that starts beside the service needs a moment. */
  readonly firstConnectMs?: number
  /** The time between two looks at a server that failed. */
  readonly retryMs?: number
}

/**
 * Connections to one Postgres.
 *
 * *Promise.* A connection that broke is not used again, and none that breaks ends the process. Limits hold for statements, for locks and for
 * transactions that do nothing; behind a pooler that passes on no settings, those of a transaction are set with its BEGIN, and a statement by itself
 * is given up by this side. Nothing is ever sent twice.
 */
export class PostgresPool {
  /** For libraries that need one; it is theirs to use, not to end. */
  readonly pool: pg.Pool
  /** Round trips of `query`, and of the beginning and the end of each `transaction`; what runs within one is not counted. */
  queryCount = 0
  readonly #options: Required<PostgresPoolOptions>
  readonly #reachability: Reachability
  #begin = 'BEGIN'
  #isOpen = false
  #closing: Promise<void> | undefined

  /** @throws ServiceError SETTING_INVALID if the address cannot be used, naming DATABASE_URL. */
  constructor (options: PostgresPoolOptions) {
    this.#options = { timeouts: TIMEOUTS, firstConnectMs: 30_000, retryMs: 1000, ...options }
    const { url, max, log, timeouts, retryMs } = this.#options
    this.pool = new pg.Pool(makePoolConfig(url, max, timeouts))
    this.#reachability = new Reachability({ log, retryMs, probe: async () => { await this.#probe() } })
    this.pool.on('connect', client => {
      // One that breaks while somebody has it says so to whoever waits for its answer; without this, to the process as well, and ends it.
      client.on('error', () => {})
    })
    this.pool.on('error', error => {
      log.warn({ err: error }, `A connection to Postgres that was not in use broke: ${explainPostgresError(error)}; the next that is needed is a new one`)
    })
  }

  /** What a transaction begins with: one text for one round trip, to which more statements without values may be added. */
  get begin (): string {
    return this.#begin
  }

  /**
   * Waits until the server answers.
   *
   * @throws ServiceError STORE_UNREACHABLE, saying why in one line.
   */
  async open (): Promise<void> {
    const { firstConnectMs, log } = this.#options
    const untilMs = performance.now() + firstConnectMs
    for (let attempt = 1; ; attempt++) {
      try {
        await this.query('SELECT 1')
        this.#isOpen = true
        return
      } catch (cause) {
        const reason = explainPostgresError(cause)
        if (this.#closing !== undefined || performance.now() > untilMs || !(isConnectionLost(cause) || isCoded(cause, '53300'))) {
          throw new ServiceError('STORE_UNREACHABLE', { message: `The database of DATABASE_URL cannot be used: ${reason}`, cause })
        }
        if (attempt === 1) log.warn({ err: cause }, `Postgres does not answer yet: ${reason}; waiting up to ${Math.round(firstConnectMs / 1000)} s for it`)
        await wait(Math.min(500, firstConnectMs))
      }
    }
  }

  /** Runs one statement, with `$1` and so on for its values. */
  async query<Row extends object> (text: string, values: readonly unknown[] = []): Promise<Row[]> {
    this.queryCount++
    return await this.#lend(async client => (await client.query(text, [...values])).rows)
  }

  /** Runs statements that take effect together or not at all. */
  async transaction<T> (run: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return await this.#lend(async client => {
      this.queryCount += 2
      await client.query(this.#begin)
      try {
        const result = await run(client)
        const { command } = await client.query('COMMIT')
        // So does a transaction end in which a statement failed.
        if (command === 'ROLLBACK') throw new TypeError('A statement failed in a transaction that was to go on')
        return result
      } catch (error) {
        if (!isConnectionLost(error)) await client.query('ROLLBACK')
        throw error
      }
    })
  }

  /** Whether the server keeps changes, by what was found last. */
  status (): { canSave: boolean, reason?: string } {
    const { reason } = this.#reachability
    if (this.#closing !== undefined) return { canSave: false, reason: 'the connections to Postgres are closed' }
    return reason === undefined ? { canSave: true } : { canSave: false, reason: `Postgres: ${reason}` }
  }

  /** Waits for what runs, then closes all connections. Safe to call twice. */
  async close (): Promise<void> {
    this.#reachability.stop()
    this.#closing ??= this.pool.end()
    await this.#closing
  }

  async #lend<T> (run: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect()
    let isBroken = false
    try {
      return await run(client)
    } catch (error) {
      isBroken = isConnectionLost(error)
      if (isWriteRefused(error)) this.#fail(error)
      throw error
    } finally {
      client.release(isBroken)
    }
  }

  async #connect (): Promise<pg.PoolClient> {
    const begin = this.#begin
    try {
      return await this.pool.connect()
    } catch (error) {
      if (begin === 'BEGIN' && isCoded(error, '08P01')) {
        if (this.#begin === begin) this.#goWithoutSettings()
        return await this.pool.connect()
      }
      // All being in use says nothing of the server.
      if (!(error instanceof Error && error.message.startsWith('timeout exceeded'))) this.#fail(error)
      throw error
    }
  }

  #goWithoutSettings (): void {
    dropTimeouts(this.pool.options)
    this.#begin = formatLimitedBegin(this.#options.timeouts)
    this.#options.log.info({}, 'Postgres is reached through a pooler that passes on no settings: limits of time are set with each transaction')
  }

  #fail (error: unknown): void {
    if (this.#isOpen) this.#reachability.fail(error)
  }

  async #probe (): Promise<void> {
    const [found] = await this.query<{ is_read_only: boolean }>("SELECT current_setting('transaction_read_only') = 'on' AS is_read_only")
    if (found?.is_read_only === true) throw Object.assign(new Error('The server is read-only'), { code: '25006' })
  }
}
