import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Tells one API key from another, and nothing of it; empty where none is needed. */
    clientId: string
  }
  interface FastifyContextConfig {
    /** Needs no key; every route does that does not say so. */
    isOpen?: boolean
  }
}

/** The key that clients must send; without one, anybody may call. */
export interface AuthOptions {
  readonly apiKey: string | undefined
}

/** Refuses requests without the key, as `Authorization: Bearer` (RFC 6750) or `X-API-Key`. */
async function auth (fastify: FastifyInstance, { apiKey }: AuthOptions): Promise<void> {
  fastify.decorateRequest('clientId', '')
  if (apiKey === undefined) return
  const expected = digest(apiKey)
  const clientId = expected.toString('base64url')
  fastify.addHook('onRequest', async function checkKey (request) {
    if (request.routeOptions.config.isOpen === true) return
    const sent = readKey(request)
    // Digests are of one length, which the comparison needs, and so the length of the key does not show.
    if (sent === undefined || !timingSafeEqual(digest(sent), expected)) throw new ServiceError('KEY_REFUSED')
    request.clientId = clientId
  })
}

function readKey ({ headers }: FastifyRequest): string | undefined {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  const key = headers['x-api-key']
  return bearer ?? (typeof key === 'string' ? key : undefined)
}

function digest (key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

export default fp(auth, { name: 'auth', dependencies: ['errors'], fastify: '5.x' })
