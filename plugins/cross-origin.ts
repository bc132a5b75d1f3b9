import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { parseOrigins } from '../src/setting-lists.ts'

/** The pages that may call from a browser. */
export interface CrossOriginOptions {
  /** Origins, separated by commas, or `*`; no page may if not given. */
  readonly origins: string | undefined
}

const PREFLIGHT_SECONDS = 600

/**
 * Lets web pages of these origins call, and read the answers; preflights need no key. A browser keeps everything from the others, save that they may
 * send what needs no preflight: no route takes such a body. There are no cookies, so that no page acts in the name of whoever opened it.
 */
async function crossOrigin (fastify: FastifyInstance, { origins }: CrossOriginOptions): Promise<void> {
  if (origins === undefined) return
  const allowed = new Set(parseOrigins(origins))
  await fastify.register(cors, {
    origin: allowed.has('*') ? '*' : (origin, answer) => { answer(null, origin !== undefined && allowed.has(origin) ? origin : false) },
    methods: ['GET', 'HEAD', 'POST', 'DELETE'],
    allowedHeaders: ['accept', 'authorization', 'content-type', 'idempotency-key', 'last-event-id', 'x-api-key', 'x-request-id'],
    exposedHeaders: ['idempotency-replayed', 'retry-after', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'x-request-id'],
    maxAge: PREFLIGHT_SECONDS,
    // An OPTIONS that is no preflight gets one's answer instead of a refusal as plain text.
    strictPreflight: false
  })
}

export default fp(crossOrigin, { name: 'cross-origin', dependencies: ['errors'], fastify: '5.x' })
