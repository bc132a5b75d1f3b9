import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { ServiceError } from '../errors.ts'
import type { Log } from '../log.ts'
import { currentLease } from '../turn-lease.ts'
import { describeClient } from './client-options.ts'
import { RedisClock } from './clock.ts'
import { CountedRedis } from './counted-redis.ts'
import { explainRedisError, isHopeless, isTimeout, isUnknownScript, isUnsent, refusesWrites } from './errors.ts'
import { RedisHealth } from './health.ts'
import { waitForReady } from './wait-for-ready.ts'

/** What all keys begin with: one hash tag, so that a script may see them all. */
export const KEY_PREFIX = '{holdline}:'

/** Connections are cut now and then: the next attempts mostly succeed. */
const MOMENT_MS = 250

/** What a script is called with. */
export type ScriptArgument = string | number | Buffer

/** How a server is reached. */
export interface RedisConnectionOptions {
  /** As in REDIS_URL. */
  readonly url: string
  readonly log: Log
  /** How long a start waits for a server that is not there yet. */
  readonly connectForMs?: number
  /** How long a command waits for a connection, and then for its answer. */
  readonly commandTimeoutMs?: number
  /** How often a server that refused changes is asked whether it takes them again. */
  readonly probeMs?: number
}

/**
 * The connection to a Redis server that replicas share.
 *
 * *Promise.* While the server is away a script fails at once, unless the connection was lost a moment ago, and the next attempt may succeed; one of a
 * turn that runs, which has something to lose, waits for some seconds. None is sent after its caller was told that it failed, nor a second time. The
 * connection comes back by itself. While it is there, scripts reach the server in the order in which they were run.
 *
 * *Not promised.* That a command that failed for want of an answer was not carried out.
 */
export class RedisConnection {
  /** Right once the connection is open. */
  readonly clock = new RedisClock()
  readonly #client: CountedRedis
  readonly #health: RedisHealth
  readonly #options: Required<RedisConnectionOptions>
  readonly #hashes = new Map<string, string>()
  /** The scripts that the server was sent over the connection that stands. */
  readonly #sent = new Set<string>()
  readonly #stop = new AbortController()
  /** Aborted once attempts to connect have failed for more than a moment, until one succeeds. */
  #away = new AbortController()

  /** Does not connect yet. Throws SETTING_INVALID for a URL that cannot be read. */
  constructor (options: RedisConnectionOptions) {
    const all = this.#options = { connectForMs: 30_000, commandTimeoutMs: 5000, probeMs: 1000, ...options }
    const client = this.#client = new CountedRedis(describeClient(options.url, all.commandTimeoutMs))
    // While it is away, each command that waits for it listens, and is taken off again.
    client.setMaxListeners(0)
    const health = this.#health = new RedisHealth({ ...all, probe: () => client.set(`${KEY_PREFIX}probe`, '', 'PX', 1000) })
    client.on('error', (error: unknown) => { health.noteError(error) })
    let lostAtMs = Infinity
    client.on('ready', () => {
      lostAtMs = Infinity
      if (this.#away.signal.aborted) this.#away = new AbortController()
      health.noteUp()
    })
    client.on('close', () => {
      lostAtMs = Math.min(lostAtMs, performance.now())
      if (performance.now() - lostAtMs >= MOMENT_MS) this.#away.abort()
      this.#sent.clear()
      health.noteDown()
    })
  }

  /** For what is no script. It refuses commands at once while there is no connection. */
  get client (): Redis {
    return this.#client
  }

  /** Round trips so far. */
  get commandCount (): number {
    return this.#client.commandCount
  }

  /** Waits for the server to be there. Throws STORE_UNREACHABLE, in one line. */
  async open (): Promise<void> {
    const hopeless = new AbortController()
    const { connectForMs, url, log } = this.#options
    let isTold = false
    const hear = (error: unknown): void => {
      if (isHopeless(error)) return hopeless.abort(error)
      if (!isTold) log.warn({ err: error }, `Redis does not answer yet: ${explainRedisError(error)}; waiting up to ${Math.round(connectForMs / 1000)} s for it`)
      isTold = true
    }
    this.#client.on('error', hear)
    try {
      // Why an attempt failed comes as an event; the next one follows by itself.
      this.#client.connect().catch(() => {})
      await this.#whenReady(connectForMs, hopeless.signal)
      await this.syncClock()
    } catch (error) {
      const cause = this.#health.lost ?? error
      await this.close()
      const advice = `Check REDIS_URL, and that the server runs${url.startsWith('rediss:') ? ' and speaks TLS' : ''}`
      throw new ServiceError('STORE_UNREACHABLE', { message: `Redis cannot be reached: ${explainRedisError(cause)}. ${advice}`, cause })
    } finally {
      this.#client.off('error', hear)
    }
  }

  /** Runs a script that may change something. `KEYS[1]` is there for proxies, to know the way; what it works with is in `ARGV`. */
  async run (lua: string, ...args: readonly ScriptArgument[]): Promise<unknown> {
    try {
      const result = await this.#evaluate(lua, args)
      this.#health.noteSuccess()
      return result
    } catch (error) {
      if (refusesWrites(error) || isTimeout(error)) this.#health.noteRefusal(error)
      throw error
    }
  }

  /** Runs a script that changes nothing: that it works says nothing of changes. */
  async read (lua: string, ...args: readonly ScriptArgument[]): Promise<unknown> {
    try {
      return await this.#evaluate(lua, args)
    } catch (error) {
      if (isTimeout(error)) this.#health.noteRefusal(error)
      throw error
    }
  }

  /** Sets the clock by the server's. */
  async syncClock (): Promise<void> {
    const sentAtMs = performance.now()
    const [seconds = 0, microseconds = 0] = await this.#client.time()
    this.clock.sync(Number(seconds) * 1000 + Number(microseconds) / 1000, sentAtMs)
  }

  /** Whether changes can be saved, by what was found last. */
  status (): { readonly canSave: boolean, readonly reason?: string } {
    if (this.#client.status !== 'ready') this.#health.noteDown()
    return this.#health.status()
  }

  /** Waits for the commands under way. Safe to call twice. */
  async close (): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    const stopped = this.#health.stop()
    try {
      if (this.#client.status === 'ready') await this.#client.quit()
    } catch {
      // The server went first.
    } finally {
      this.#client.disconnect()
      await stopped
    }
  }

  async #evaluate (lua: string, args: readonly ScriptArgument[]): Promise<unknown> {
    // No wait where there is nothing to wait for: the order of calls is the order on the wire.
    if (this.#client.status !== 'ready') await this.#whenBack()
    try {
      return await this.#send(lua, args)
    } catch (error) {
      if (!isUnsent(error) && !isUnknownScript(error)) throw error
      // Nothing was carried out: the connection was about to close, or somebody emptied the server's cache of scripts.
      if (isUnsent(error)) await this.#whenBack()
      return await this.#client.eval(lua, 1, KEY_PREFIX, ...args)
    }
  }

  /** By its text once a connection, since the server may be another one, and by its hash from then on. */
  #send (lua: string, args: readonly ScriptArgument[]): Promise<unknown> {
    if (!this.#sent.has(lua)) {
      this.#sent.add(lua)
      return this.#client.eval(lua, 1, KEY_PREFIX, ...args)
    }
    let hash = this.#hashes.get(lua)
    if (hash === undefined) this.#hashes.set(lua, hash = createHash('sha1').update(lua).digest('hex'))
    return this.#client.evalsha(hash, 1, KEY_PREFIX, ...args)
  }

  async #whenBack (): Promise<void> {
    await this.#whenReady(this.#options.commandTimeoutMs, currentLease() === undefined ? this.#away.signal : undefined)
  }

  async #whenReady (maxMs: number, giveUp?: AbortSignal): Promise<void> {
    this.#stop.signal.throwIfAborted()
    const ends = [AbortSignal.timeout(maxMs), this.#stop.signal, ...(giveUp === undefined ? [] : [giveUp])]
    try {
      await waitForReady(this.#client, AbortSignal.any(ends))
    } catch (error) {
      if (this.#stop.signal.aborted) throw error
      throw new Error('Connection is closed: none came about in time', { cause: this.#health.lost })
    }
  }
}
