import fastifyRateLimit, { type FastifyRateLimitStore, type FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Engine } from '../src/engine.ts'
import { ServiceError } from '../src/errors.ts'
import { findPerson } from '../src/person.ts'
import type { Session } from '../src/sessions/session.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whom limits of clients count: the API key, or the address where none is needed. */
    readonly countedClient: string
    /** The session that the request names, where it had to be looked for to tell who speaks. */
    foundSession: Session | undefined
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

/**
 * Refuses with RATE_LIMITED who asks too often; other answers tell, in `x-ratelimit-*`, what is left of the limit that is nearest.
 *
 * *Promise.* Nobody passes uncounted: while requests cannot be counted they are refused with STORE_UNAVAILABLE, save those that are answered under
 * pressure, too: what is wanted then is to see, and to stop, what goes on.
 */
async function rateLimit (fastify: FastifyInstance, { maxOfPerson, maxOfClient }: RateLimitOptions): Promise<void> {
  const { engine, sessionStore } = fastify
  fastify.decorateRequest('countedClient', { getter () { return this.clientId === '' ? this.network : this.clientId } })
  fastify.decorateRequest('foundSession', undefined)
  await fastify.register(fastifyRateLimit, { global: false, store: makeStore(engine) })

  if (maxOfClient > 0) {
    const count = fastify.createRateLimit({ max: maxOfClient, timeWindow: WINDOW_MS, keyGenerator: ({ countedClient }) => `client ${countedClient}` })
    fastify.addHook('onRequest', async function limitClient (request, reply) {
      const { scope, answersUnderPressure } = request.routeOptions.config
      if (scope === 'open') return
      try {
        admit(await count(request), reply)
      } catch (error) {
        const isUncounted = error instanceof ServiceError && error.code === 'STORE_UNAVAILABLE'
        if (!isUncounted || answersUnderPressure !== true) throw error
      }
    })
  }

  if (maxOfPerson > 0) {
    const keyGenerator = async (request: FastifyRequest): Promise<string> => {
      const { person, session } = await findPerson(sessionStore, readClaim(request.body))
      request.foundSession = session
      return `person ${person}`
    }
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
        (cause: unknown) => { callback(cause instanceof ServiceError ? cause : new ServiceError('STORE_UNAVAILABLE', { cause, retryAfterSeconds: 5 })) })
    }

    child (): EngineStore {
      return this
    }
  }
}

export default fp(rateLimit, { name: 'rate-limit', dependencies: ['engine', 'errors', 'auth', 'session-store'], fastify: '5.x' })
