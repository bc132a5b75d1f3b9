import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isPrivateName, readAccess, type Access, type AccessSettings } from '../src/access.ts'
import { describeKey, findApiKey, type ApiKey, type Scope } from '../src/api-keys.ts'
import { ServiceError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The key that it bears; null where none is needed. */
    apiKey: ApiKey | null
    /** Tells one API key from another, and nothing of it; empty where none is needed. */
    readonly clientId: string
    /** Its address, of IPv6 its /64: whoever has one address of that has all. Empty if its sender has hung up. */
    readonly network: string
    /** The name of its API key; empty where that has none. */
    readonly keyName: string
    /** Whether its caller may do this; anybody may do everything where no key is configured. */
    hasScope (scope: Scope): boolean
  }
  interface FastifyContextConfig {
    /** What a key has to be for; `open`: no key is needed. A route that does not say needs `admin`. */
    scope?: Scope | 'open'
  }
}

/** Of one address. */
const MAX_ATTEMPTS = 30
const ATTEMPTS_WINDOW_MS = 60_000

/**
 * Refuses requests without a key, as `Authorization: Bearer` (RFC 6750) or `X-API-Key`, and those whose key is not for what they ask.
 *
 * *Promise.* A missing key and a wrong one get the same answers. Both are failed attempts: beyond 30 a minute of one address they get 429, which a
 * right key never does.
 *
 * *Not promised.* That attempts are bounded for one who makes them from more than 5 000 addresses: so many are counted at once, and those silent for
 * longest are forgotten. Nor over all replicas together: each counts its own, so that who has no key costs no database anything.
 */
async function auth (fastify: FastifyInstance, settings: AccessSettings): Promise<void> {
  const access = readAccess(settings)
  const { keys } = access
  fastify.decorateRequest('apiKey', null)
  fastify.decorateRequest('clientId', { getter (this: FastifyRequest) { return this.apiKey?.id ?? '' } })
  fastify.decorateRequest('network', {
    getter (this: FastifyRequest) {
      // One who has hung up already has no address any more, whatever the type of `ip` says.
      return this.raw.socket.remoteAddress === undefined ? '' : normalizeIP(this.ip, 64)
    }
  })
  fastify.decorateRequest('keyName', { getter (this: FastifyRequest) { return this.apiKey?.name ?? '' } })
  fastify.decorateRequest('hasScope', function hasScope (scope) { return keys.length === 0 || this.apiKey?.scopes.has(scope) === true })
  logAccess(fastify, access, settings)
  if (keys.length === 0) {
    if (settings.auth === 'on') fastify.addHook('onRequest', refusePages)
    return
  }

  const countAttempt = await makeAttemptCounter(fastify)
  fastify.addHook('onRequest', async function checkKey (request, reply) {
    const { scope = 'admin' } = request.routeOptions.config
    if (scope === 'open') return
    const sent = readKey(request)
    const key = sent === undefined ? undefined : findApiKey(keys, sent)
    if (key === undefined) throw await refuseAttempt(request, reply, countAttempt)
    request.apiKey = key
    request.isKnown = true
    if (key.name !== undefined) addLogFields(request, reply, { key: key.name })
    // What is not there is no secret: GET / lists what is.
    if (!request.is404 && !key.scopes.has(scope)) {
      throw new ServiceError('KEY_SCOPE_MISSING', { message: `This API key may not do this: it needs the scope ${scope}` })
    }
  })
}

/** Without keys, only this machine may call; and a page that anybody made is not that because its name leads here. */
async function refusePages ({ headers: { host }, routeOptions: { config: { scope } } }: FastifyRequest): Promise<void> {
  if (scope === 'open' || host === undefined || isPrivateName(host)) return
  throw new ServiceError('KEY_REFUSED', { message: 'Through a name that others may have pointed here, an API key is required: set API_KEY, or call localhost' })
}

type AttemptCounter = ReturnType<FastifyInstance['createRateLimit']>

/** In a scope of its own, so that what else is limited has its own counters. */
async function makeAttemptCounter (fastify: FastifyInstance): Promise<AttemptCounter> {
  let limited = fastify
  await fastify.register(async function attempts (scope) {
    await scope.register(rateLimit, { global: false })
    limited = scope
  })
  return limited.createRateLimit({ max: MAX_ATTEMPTS, timeWindow: ATTEMPTS_WINDOW_MS, keyGenerator: ({ network }) => network })
}

async function refuseAttempt (request: FastifyRequest, reply: FastifyReply, countAttempt: AttemptCounter): Promise<ServiceError> {
  addLogFields(request, reply, { address: request.ip })
  const count = await countAttempt(request)
  if (count.isAllowed || !count.isExceeded) return new ServiceError('KEY_REFUSED')
  return new ServiceError('KEY_ATTEMPTS_EXCEEDED', { retryAfterSeconds: count.ttlInSeconds })
}

function readKey ({ headers }: FastifyRequest): string | undefined {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  const key = headers['x-api-key']
  return bearer ?? (typeof key === 'string' ? key : undefined)
}

/** In every line on this request from now on. */
function addLogFields (request: FastifyRequest, reply: FastifyReply, fields: object): void {
  request.log = reply.log = request.log.child(fields)
}

function logAccess ({ log }: FastifyInstance, { keys, isLocal }: Access, { host }: AccessSettings): void {
  if (keys.length > 0) {
    const list = keys.map(key => `${describeKey(key)} (${[...key.scopes].join(', ')})`)
    log.info(`${keys.length === 1 ? 'One API key' : `${keys.length} API keys`} may call: ${list.join(', ')}`)
  } else if (isLocal) log.info('No API_KEY is set: anybody on this machine may call')
  else log.warn(`AUTH=off: anybody who reaches ${host} may call, read every conversation and answer every question`)
  for (const key of keys.filter(({ isWeak }) => isWeak)) {
    log.warn({ key: describeKey(key) }, 'The secret of an API key is short enough to be guessed; openssl rand -hex 32 makes a better one')
  }
}

export default fp(auth, { name: 'auth', dependencies: ['errors'], fastify: '5.x' })
