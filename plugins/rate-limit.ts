import fastifyRateLimit, { type FastifyRateLimitStore, type FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../src/errors.ts'
import { findPerson } from '../src/person.ts'
import { RequestCounts } from '../src/request-counts.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whom limits of clients count: the API key, or the address where none is needed. */
    readonly countedClient: string
  }
}

/** How many requests in a minute; 0 is any number. */
export interface RateLimitOptions {
  /** Messages and decisions of one person, with whatever key. */
  readonly maxOfPerson: number
  /** Requests of one client, to all routes that are not open. */
  readonly maxOfClient: number
  readonly now: () => number
  /** Where requests are counted, for others than this process to see them; in memory if not given. */
  readonly store?: FastifyRateLimitStoreCtor
}

const WINDOW_MS = 60_000

/** More persons than speak within a minute; it takes some 10 MiB. Only a client that makes persons up gets there. */
const MAX_KEYS = 50_000

type Limiter = ReturnType<FastifyInstance['createRateLimit']>
type Count = Exclude<Awaited<ReturnType<Limiter>>, { isAllowed: true }>

/** Refuses with RATE_LIMITED who asks too often; other answers tell, in `x-ratelimit-*`, what is left of the limit that is nearest. */
async function rateLimit (fastify: FastifyInstance, { maxOfPerson, maxOfClient, now, store = makeStore(now) }: RateLimitOptions): Promise<void> {
  const { sessionStore } = fastify
  fastify.decorateRequest('countedClient', { getter () { return this.clientId === '' ? this.network : this.clientId } })
  await fastify.register(fastifyRateLimit, { global: false, store })

  if (maxOfClient > 0) {
    const count = fastify.createRateLimit({ max: maxOfClient, timeWindow: WINDOW_MS, keyGenerator: ({ countedClient }) => `client ${countedClient}` })
    fastify.addHook('onRequest', async function limitClient (request, reply) {
      if (request.routeOptions.config.scope !== 'open') admit(await count(request), reply)
    })
  }

  if (maxOfPerson > 0) {
    const keyGenerator = async ({ body }: { readonly body: unknown }): Promise<string> => `person ${await findPerson(sessionStore, readClaim(body))}`
    const count = fastify.createRateLimit({ max: maxOfPerson, timeWindow: WINDOW_MS, keyGenerator })
    // Not before: only what is valid says who speaks.
    fastify.addHook('preHandler', async function limitPerson (request, reply) {
      if (request.routeOptions.config.speaksToPerson === true) admit(await count(request), reply)
    })
  }
}

function admit (counted: Awaited<ReturnType<Limiter>>, reply: FastifyReply): void {
  if (counted.isAllowed) return
  tell(counted, reply)
  if (counted.isExceeded) throw new ServiceError('RATE_LIMITED', { retryAfterSeconds: Math.max(1, counted.ttlInSeconds) })
}

/** The names are those that most services use; the standard has not got its own yet. */
function tell ({ max, remaining, ttlInSeconds, isExceeded }: Count, reply: FastifyReply): void {
  const told = reply.getHeader('x-ratelimit-remaining')
  if (!isExceeded && typeof told === 'number' && told <= remaining) return
  reply.headers({ 'x-ratelimit-limit': max, 'x-ratelimit-remaining': remaining, 'x-ratelimit-reset': ttlInSeconds })
}

function readClaim (body: unknown) {
  return { userId: readText(body, 'user_id') ?? '', platform: readText(body, 'platform'), sessionId: readText(body, 'session_id') }
}

function readText (body: unknown, field: string): string | undefined {
  const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, field) : undefined
  return typeof value === 'string' ? value : undefined
}

/** Counts in memory, in the form that is asked for, so that another store can take its place. */
function makeStore (now: () => number): FastifyRateLimitStoreCtor {
  return class MemoryStore implements FastifyRateLimitStore {
    readonly #counts = new RequestCounts({ maxKeys: MAX_KEYS, now })

    incr (key: string, callback: (error: null, result: { current: number, ttl: number }) => void, windowMs: number): void {
      const { count, leftMs } = this.#counts.add(key, windowMs)
      callback(null, { current: count, ttl: leftMs })
    }

    /** Each limit has counts of its own. */
    child (): MemoryStore {
      return new MemoryStore()
    }
  }
}

export default fp(rateLimit, { name: 'rate-limit', dependencies: ['errors', 'auth', 'session-store'], fastify: '5.x' })
