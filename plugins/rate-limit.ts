import fastifyRateLimit, { type FastifyRateLimitStore, type FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import type { Engine } from '../src/engine.ts'
import { ServiceError } from '../src/errors.ts'
import { findPerson } from '../src/person.ts'

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
}

const WINDOW_MS = 60_000

type Limiter = ReturnType<FastifyInstance['createRateLimit']>
type Count = Exclude<Awaited<ReturnType<Limiter>>, { isAllowed: true }>

/** Refuses with RATE_LIMITED who asks too often; other answers tell, in `x-ratelimit-*`, what is left of the limit that is nearest. */
async function rateLimit (fastify: FastifyInstance, { maxOfPerson, maxOfClient }: RateLimitOptions): Promise<void> {
  const { engine, sessionStore } = fastify
  fastify.decorateRequest('countedClient', { getter () { return this.clientId === '' ? this.network : this.clientId } })
  await fastify.register(fastifyRateLimit, { global: false, store: makeStore(engine) })

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

/** Counts where the engine does, in the form that is asked for; a key begins with the kind of who is counted. */
function makeStore (engine: Engine): FastifyRateLimitStoreCtor {
  return class EngineStore implements FastifyRateLimitStore {
    incr (key: string, callback: (error: Error | null, result?: { current: number, ttl: number }) => void, windowMs: number): void {
      const [kind = ''] = key.split(' ', 1)
      engine.count(kind, key, windowMs).then(
        ({ count, leftMs }) => { callback(null, { current: count, ttl: leftMs }) },
        (error: unknown) => { callback(error instanceof Error ? error : new Error(String(error))) })
    }

    child (): EngineStore {
      return this
    }
  }
}

export default fp(rateLimit, { name: 'rate-limit', dependencies: ['engine', 'errors', 'auth', 'session-store'], fastify: '5.x' })
