import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify'
import fp from 'fastify-plugin'
import { ERRORS, ServiceError, type ErrorCode } from '../src/errors.ts'
import { LogBudget } from '../src/log-budget.ts'
import { SAFE_HEADERS } from '../src/safe-headers.ts'
import { PLATFORM_PATTERN } from '../src/sessions/session.ts'
import { shorten } from '../src/sessions/text.ts'
import { inferPlatform, normaliseUserId } from '../src/sessions/user-id.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** How much is logged of requests that were refused, of callers whom nobody knows. */
    refusalBudget: LogBudget
  }
  interface FastifyRequest {
    /** How an error is written as the body that answers this request; it does not hold on to the request. */
    describeErrors (): (error: ServiceError) => string
    /** Logs an error that ended this request. */
    logError (error: ServiceError): void
    /** Whether its caller is known, by a key. */
    isKnown: boolean
    /** Whether a turn was run for this request, whose end has its own line in the log. */
    isTurn: boolean
  }
  interface FastifyContextConfig {
    /** Errors carry what a bot shows to a person, too. */
    speaksToPerson?: boolean
  }
}

/** Fastify's own codes in our table; any other error of Fastify's below 500 is a request that is not valid. */
const FRAMEWORK_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE_UNSUPPORTED',
  FST_ERR_CTP_INVALID_JSON_BODY: 'BODY_NOT_JSON',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'BODY_NOT_JSON'
}

/** Characters of a path that nobody knows which are said back. */
const MAX_PATH = 200

const PLATFORM = new RegExp(PLATFORM_PATTERN)

/** Refusals as they are meant to be: many at once would be many stacks in the log, which helps nobody. */
const EXPECTED: ReadonlySet<ErrorCode> = new Set(['SERVICE_STOPPING', 'OVERLOADED'])

/** The clock that says how much is logged. */
export interface ErrorsOptions {
  readonly now: () => number
}

/** Lines a minute on requests of unknown callers that were refused. */
const MAX_REFUSALS = 60
const REFUSALS_WINDOW_MS = 60_000

/** One handler for every error: the table's status and code for the client, the cause for the log. */
async function errors (fastify: FastifyInstance, { now }: ErrorsOptions): Promise<void> {
  fastify.decorate('refusalBudget', new LogBudget({ maxLines: MAX_REFUSALS, windowMs: REFUSALS_WINDOW_MS, now }))
  fastify.decorateRequest('isKnown', false)
  fastify.addHook('onRequest', async function nameRequest (request, reply) {
    reply.header('x-request-id', request.id)
  })
  fastify.setErrorHandler(sendError)
  fastify.decorateRequest('describeErrors', function describeOwnErrors () {
    const context = describeContext(this)
    return error => formatError(error, context)
  })
  fastify.decorateRequest('isTurn', false)
  fastify.decorateRequest('logError', function logOwnError (error) { logError(error, this) })
  fastify.setNotFoundHandler(function refuseRoute (request) {
    throw new ServiceError('ROUTE_NOT_FOUND', { message: `There is no ${request.method} ${shorten(request.url.split('?')[0] ?? '', MAX_PATH)}` })
  })
  fastify.setSchemaErrorFormatter((problems, place) => new Error(problems.map(problem => formatProblem(problem, place)).join('; ')))
}

/** Answers an error that Fastify meets before a route is found. */
export function refuseAddress (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(SAFE_HEADERS)
  sendError(error, request, reply)
}

function sendError (thrown: FastifyError | ServiceError, request: FastifyRequest, reply: FastifyReply): void {
  // Whoever was to read a stream has gone before its headers went out; the turn goes on without.
  if (thrown.code === 'ERR_STREAM_PREMATURE_CLOSE' && reply.raw.destroyed) {
    request.log.info({ code: thrown.code }, 'The client has gone')
    reply.hijack()
    return
  }
  const error = toServiceError(thrown)
  const { statusCode, retryAfterSeconds } = error
  logError(error, request)
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
  if (statusCode === 401) reply.header('www-authenticate', 'Bearer')
  // Also for what fails before any hook runs.
  reply.header('x-request-id', request.id)
  reply.code(statusCode).header('content-type', 'application/json; charset=utf-8').send(formatError(error, describeContext(request)))
}

function logError (error: ServiceError, { log, isKnown, isTurn, server }: FastifyRequest): void {
  const { code, statusCode, session } = error
  const { message, nextStep } = ERRORS[code]
  const fields = { code, session_id: session?.sessionId }
  if (statusCode >= 500 && !EXPECTED.has(code)) log.error({ ...fields, err: error.cause ?? error, next_step: nextStep }, message)
  else if (!isTurn && isKnown) log.info(fields, 'Request refused')
  else if (!isTurn) logRefusal(fields, log, server.refusalBudget)
}

/** Anybody may send what is refused, as often as they like. */
function logRefusal (fields: object, log: FastifyRequest['log'], budget: LogBudget): void {
  const { isGranted, isLast, withheld } = budget.take()
  if (withheld > 0) log.warn({ withheld }, 'More requests without a key were refused than are logged')
  if (isGranted) log.info(fields, 'Request refused')
  if (isLast) log.warn('So many requests without a key are refused that the rest of this minute is not logged')
}

/** Of a request, what its errors say. */
interface ErrorContext {
  readonly requestId: string
  /** What the body says of the person, where errors speak to one. */
  readonly person: object | undefined
}

function describeContext ({ id, body, routeOptions }: FastifyRequest): ErrorContext {
  return { requestId: id, person: routeOptions.config.speaksToPerson === true ? describeBody(body) : undefined }
}

function formatError (error: ServiceError, { requestId, person }: ErrorContext): string {
  const { code, statusCode } = error
  return JSON.stringify({
    statusCode,
    code,
    error: STATUS_CODES[statusCode],
    message: statusCode >= 500 ? ERRORS[code].message : error.message,
    request_id: requestId,
    ...(person !== undefined && describeToPerson(person, error))
  })
}

function toServiceError (error: FastifyError | ServiceError): ServiceError {
  if (error instanceof ServiceError) return error
  const code = FRAMEWORK_CODES[error.code]
  if (code !== undefined) return new ServiceError(code, { cause: error })
  const isClients = (error.statusCode ?? 500) < 500
  return isClients ? new ServiceError('REQUEST_INVALID', { message: error.message, cause: error }) : new ServiceError('INTERNAL', { cause: error })
}

/** What chat and approve always say, so that a bot that only shows `message` still says something sensible. */
function describeToPerson (person: object, { session }: ServiceError): object {
  const known = session === undefined
    ? person
    : { user_id: session.userId, session_id: session.sessionId, platform: session.platform }
  return { ...known, status: 'error', requires_approval: false, approval_data: null, metadata: {} }
}

function describeBody (body: unknown): object {
  const userId = readText(body, 'user_id')
  if (userId === undefined) return {}
  const sessionId = readText(body, 'session_id')
  const platform = readText(body, 'platform') ?? inferPlatform(userId)
  if (!PLATFORM.test(platform)) return {}
  // Without its session, a session's platform is not known, and neither is the normalised id.
  return sessionId === undefined
    ? { user_id: normaliseUserId(userId, platform), platform }
    : { user_id: userId, session_id: sessionId }
}

function readText (body: unknown, field: string): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const value: unknown = Reflect.get(body, field)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** A refusal by the schema, naming the field. */
function formatProblem ({ instancePath, keyword, message = 'is not valid', params }: FastifySchemaValidationError, place: string): string {
  const field = instancePath === '' ? place : instancePath.slice(1).replaceAll('/', '.')
  if (keyword === 'pattern') return `${field} has characters that are not allowed here`
  const allowed = Array.isArray(params.allowedValues) ? `: ${params.allowedValues.join(', ')}` : ''
  return `${field} ${message}${allowed}`
}

export default fp(errors, { name: 'errors', dependencies: [], fastify: '5.x' })
