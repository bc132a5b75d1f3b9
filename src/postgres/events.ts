import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { Log } from '../log.ts'
import { Topics } from '../topics.ts'
import { dropTimeouts, makePoolConfig, TIMEOUTS } from './connection-config.ts'
import { explainPostgresError } from './errors.ts'
import type { PostgresPool } from './pool.ts'

/** How replicas hear from each other. */
export interface PostgresEventsOptions {
  readonly url: string
  /** What is sent goes this way. */
  readonly pool: Pick<PostgresPool, 'query'>
  readonly log: Log
  /** Between two looks, where nothing is heard. */
  readonly pollMs?: number
  /** Between two checks that something would be heard. */
  readonly pingMs?: number
  /** How long a notification to oneself may take. */
  readonly patienceMs?: number
}

const PING = 'ping:'

/** Of a connection that is lost, doubled with each attempt. */
const RECONNECT_MS = 100
const MAX_RECONNECT_MS = 5000

/** Where a connection is to be had and nothing is heard over it: that is seldom mended, and each attempt leaves a LISTEN behind in the pooler. */
const RETRY_DEAF_MS = 5000
const MAX_RETRY_DEAF_MS = 600_000

/** For a goodbye that nobody answers. */
const PARTING_MS = 1000

/**
 * What replicas tell each other by LISTEN and NOTIFY, over one connection of its own.
 *
 * *Promise.* Whoever follows a topic is woken at each notification of it; where none come (a pooler in transaction mode, a connection that is lost),
 * every `pollMs`; and once more when they come again. No timer polls while nobody follows anything.
 *
 * *Not promised.* That there is something to see: to be woken means to look.
 */
export class PostgresEvents {
  readonly #options: Required<PostgresEventsOptions>
  readonly #topics: Topics
  #client: pg.Client | undefined
  #isClosed = false
  #failures = 0
  #saidReason: string | undefined
  #timer: NodeJS.Timeout | undefined
  #hearPing = (_payload: string): void => {}

  constructor (options: PostgresEventsOptions) {
    const { pollMs } = this.#options = { pollMs: 100, pingMs: 15_000, patienceMs: 1000, ...options }
    this.#topics = new Topics(pollMs)
  }

  /** Whether notifications come; otherwise it polls. */
  get isHearing (): boolean {
    return this.#topics.isHearing
  }

  /** Resolves when it is known whether notifications come. */
  async start (): Promise<void> {
    await this.#connect()
  }

  /** Calls `wake` whenever there may be something new of a topic, until the function that it returns is called. */
  subscribe (topic: string, wake: () => void): () => void {
    return this.#topics.follow(topic, wake)
  }

  /** Wakes at once those of this replica whom a notification of its own does not reach. */
  wakeHere (topic: string): void {
    if (!this.isHearing) this.#topics.wake(topic)
  }

  /** Safe to call twice. */
  async close (): Promise<void> {
    this.#isClosed = true
    this.#topics.close()
    clearTimeout(this.#timer)
    await this.#drop()
  }

  async #connect (): Promise<void> {
    const config = makePoolConfig(this.#options.url, 1, TIMEOUTS)
    dropTimeouts(config)
    const client = this.#client = new pg.Client(config)
    let cause: unknown
    client.on('error', error => { cause = error })
    client.on('notification', ({ payload = '' }) => { this.#take(payload) })
    const ended = new Promise<void>(resolve => {
      client.on('end', () => {
        this.#lose(client, cause)
        resolve()
      })
    })
    try {
      // One that is closed meanwhile says neither that it has connected nor that it has not.
      await Promise.race([client.connect(), ended])
      if (client !== this.#client) return
      await client.query('LISTEN holdline')
      await this.#check(client)
    } catch (error) {
      this.#lose(client, error)
    }
  }

  /** Notifies itself, the way that the others do. */
  async #check (client: pg.Client): Promise<void> {
    const isHearing = await this.#ping().catch((error: unknown) => { this.#lose(client, error) })
    if (client !== this.#client) return
    if (isHearing !== true) {
      // It was heard a moment ago: the connection is dead, and nobody said so.
      if (this.isHearing) this.#lose(client, undefined)
      else this.#giveUp()
      return
    }
    this.#failures = 0
    this.#timer = setTimeout(() => { this.#check(client) }, this.#options.pingMs).unref()
    if (this.isHearing) return
    if (this.#saidReason !== undefined) this.#options.log.info({}, 'Notifications of Postgres come again')
    this.#saidReason = undefined
    this.#topics.hear()
  }

  async #ping (): Promise<boolean> {
    const { pool, patienceMs } = this.#options
    const ping = `${PING}${randomUUID()}`
    let patience: NodeJS.Timeout | undefined
    const heard = new Promise<boolean>(resolve => {
      this.#hearPing = payload => { if (payload === ping) resolve(true) }
      patience = setTimeout(resolve, patienceMs, false).unref()
    })
    try {
      // Over another connection: a pooler may hand on what one tells oneself.
      await pool.query("SELECT pg_notify('holdline', $1)", [ping])
      return await heard
    } finally {
      clearTimeout(patience)
    }
  }

  #take (payload: string): void {
    if (payload.startsWith(PING)) this.#hearPing(payload)
    else this.#topics.wake(payload)
  }

  #lose (client: pg.Client, cause: unknown): void {
    if (client !== this.#client || this.#isClosed) return
    const reason = cause === undefined ? 'the connection was lost' : explainPostgresError(cause)
    this.#say(reason, `Notifications of Postgres are not heard: ${reason}; turns that wait look every ${this.#options.pollMs} ms until they are`)
    this.#retry(RECONNECT_MS, MAX_RECONNECT_MS)
  }

  #giveUp (): void {
    const reason = 'notifications do not come through'
    this.#say(reason, `Notifications of Postgres do not come through, as behind a pooler in transaction mode; turns that wait look every ${this.#options.pollMs} ms instead`)
    this.#retry(RETRY_DEAF_MS, MAX_RETRY_DEAF_MS)
  }

  #say (reason: string, message: string): void {
    if (this.#saidReason !== reason) this.#options.log.warn({}, message)
    this.#saidReason = reason
  }

  #retry (firstMs: number, maxMs: number): void {
    this.#topics.miss()
    this.#drop()
    clearTimeout(this.#timer)
    const pauseMs = Math.min(firstMs * 2 ** this.#failures++, maxMs)
    this.#timer = setTimeout(() => { this.#connect() }, pauseMs).unref()
  }

  async #drop (): Promise<void> {
    const client = this.#client
    this.#client = undefined
    if (client === undefined) return
    let patience: NodeJS.Timeout | undefined
    const end = new Promise<void>(resolve => { patience = setTimeout(resolve, PARTING_MS).unref() })
    await Promise.race([client.end().catch(() => {}), end])
    clearTimeout(patience)
  }
}
