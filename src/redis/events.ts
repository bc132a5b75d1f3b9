import { ReplyError, type Redis } from 'ioredis'
import type { Log } from '../log.ts'
import { Topics } from '../topics.ts'
import { EVENTS_CHANNEL } from './turn-scripts.ts'

/** How often those who follow something look by themselves while nothing tells them. */
const POLL_MS = 100

/** How often it is asked whether the line is still there, and for how long it may be silent then. */
const PING_MS = 1_000
const SILENCE_MS = 2_500

/** Over which connection; its settings are those of the events' own. */
export interface RedisEventsOptions {
  readonly redis: { readonly client: Redis }
  readonly log: Log
}

/**
 * News between replicas, by Redis' pub/sub on a connection of its own: that there is something to look at, never what.
 *
 * *Promise.* Whoever follows a topic is woken at each news of it; while the line is away, every 100 ms instead, and once when it is back. A line that
 * stands still without an end is found out within seconds.
 *
 * *Not promised.* News that were told while the line was breaking: whoever must not miss any looks now and then by themselves.
 */
export class RedisEvents {
  readonly #log: Log
  readonly #line: Redis
  readonly #topics = new Topics(POLL_MS)
  #ping: NodeJS.Timeout | undefined
  #wasLost = false
  #isClosed = false

  constructor ({ redis, log }: RedisEventsOptions) {
    this.#log = log
    this.#line = redis.client.duplicate({
      lazyConnect: true,
      // By hand instead: only then is it known when news come again.
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      // Ends a line on which nothing comes back, so that a new one is made.
      socketTimeout: SILENCE_MS,
      retryStrategy: () => POLL_MS
    })
    this.#line.on('message', (_channel, topic) => { this.#topics.wake(topic) })
    this.#line.on('ready', () => { this.#listen().catch(() => {}) })
    this.#line.on('close', () => { this.#lose() })
    // Each is followed by a close; without a listener it would end the process.
    this.#line.on('error', () => {})
  }

  /** Resolves when news come, or polling has begun in their place. */
  async start (): Promise<void> {
    this.#ping = setInterval(() => { this.#line.ping().catch(() => {}) }, PING_MS)
    this.#ping.unref()
    await this.#line.connect().catch(() => {})
    if (this.#line.status === 'ready') await this.#listen()
  }

  /** Calls `wake` at each news of a topic, until the function that it returns is called. */
  subscribe (topic: string, wake: () => void): () => void {
    return this.#topics.follow(topic, wake)
  }

  /** Safe to call twice. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#ping)
    this.#topics.close()
    this.#line.disconnect()
  }

  async #listen (): Promise<void> {
    try {
      await this.#line.subscribe(EVENTS_CHANNEL)
    } catch (error) {
      // A server that refuses (its user may use no channels) is not asked again before the next connection: polling does.
      if (error instanceof ReplyError) this.#log.warn({ err: error }, 'Redis: news between replicas do not come: they are looked for every 100 ms, which costs more')
      return
    }
    if (this.#topics.isHearing || this.#isClosed) return
    if (this.#wasLost) this.#log.info({}, 'Redis: news between replicas come again')
    this.#topics.hear()
  }

  #lose (): void {
    if (this.#isClosed || !this.#topics.isHearing) return
    this.#wasLost = true
    this.#log.warn({}, 'Redis: the line for news between replicas was lost: until it is back, they are looked for every 100 ms')
    this.#topics.miss()
  }
}
