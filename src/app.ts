import Fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import agent from '../plugins/agent.ts'
import auth from '../plugins/auth.ts'
import connection, { refuseConnection } from '../plugins/connection.ts'
import conversation from '../plugins/conversation.ts'
import crossOrigin from '../plugins/cross-origin.ts'
import engine from '../plugins/engine.ts'
import env from '../plugins/env.ts'
import ephemeralData from '../plugins/ephemeral-data.ts'
import errors, { refuseAddress } from '../plugins/errors.ts'
import eventStream from '../plugins/event-stream.ts'
import jsonBody from '../plugins/json-body.ts'
import metrics from '../plugins/metrics.ts'
import openapi from '../plugins/openapi.ts'
import overload from '../plugins/overload.ts'
import rateLimit from '../plugins/rate-limit.ts'
import securityHeaders from '../plugins/security-headers.ts'
import sessionCleanup from '../plugins/session-cleanup.ts'
import sessionStore from '../plugins/session-store.ts'
import tracer from '../plugins/tracer.ts'
import turnDesk from '../plugins/turn-desk.ts'
import approve from '../routes/approve.ts'
import chat from '../routes/chat.ts'
import health from '../routes/health.ts'
import metricsRoute from '../routes/metrics.ts'
import apiDocument from '../routes/openapi.ts'
import root from '../routes/root.ts'
import sessions from '../routes/sessions.ts'
import packageJson from '../package.json' with { type: 'json' }
import { listDataPaths, type Config, type Environment } from './config.ts'
import { divideGrace } from './grace.ts'
import { describeLoggedRequest, makeErrorSerializer, type Log } from './log.ts'
import { listSecrets, makeLineMask } from './secrets.ts'
import { describeServer, type Arrival } from './server-options.ts'
import { describeTrace } from './trace.ts'

/** What the service is built from. */
export interface AppOptions {
  /** The settings by name; see `Config`. */
  readonly env: Environment
  /** Fastify's logger, or its options; none is silence. */
  readonly logger?: Exclude<FastifyServerOptions['logger'], undefined>
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Makes variables known to an agent of the user's, which reads them from its process. Called before it is loaded; not for the built-in one. */
  readonly setVariables?: (variables: Environment) => void
  /** Called with the settings as soon as they are valid, before anything is opened. */
  readonly onSettings?: (config: Config, log: Log) => void
  /** Mean delay of the event loop above which requests are refused. */
  readonly maxLoopDelayMs?: number
  /** After how long a silent event stream says that it is still there. */
  readonly heartbeatMs?: number
  /** How long a request may take to arrive. */
  readonly arrival?: Arrival
}

const MINUTE_MS = 60_000
const SECOND_MS = 1000

/** The floor plan: plugins, then routes; closing runs it backwards. Rejects with SETTING_INVALID, FILE_LOCKED or FILE_INVALID. */
export async function buildApp (options: AppOptions): Promise<FastifyInstance> {
  const { env: environment, logger = false, setVariables = () => {}, onSettings = () => {}, heartbeatMs = 15 * SECOND_MS } = options
  const { arrival, maxLoopDelayMs, now: clock = Date.now } = options
  const app = Fastify({
    logger: logger === false ? false : { ...(logger !== true && logger), ...describeLines(environment) },
    // One line a turn instead of two a request; the request's id is what clients see.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    ...describeServer(environment, arrival),
    frameworkErrors (error, request, reply) {
      // Refused before a route is found, and before any hook runs.
      app.metrics.http.ended({ method: request.method, route: undefined, status: error.statusCode }, 0)
      refuseAddress(error, request, reply)
    },
    clientErrorHandler (error, socket) {
      if (error.code !== 'ECONNRESET') app.metrics.http.refused()
      refuseConnection(error, socket)
    }
  })
  try {
    await app.register(env, { env: environment })
    const { config } = app
    const { version, description: summary, license } = packageJson
    const timeoutMs = toMs(config.SESSION_TIMEOUT_MINUTES, MINUTE_MS)
    const keepConversations = config.KEEP_CONVERSATIONS
    const graceMs = config.SHUTDOWN_GRACE_SECONDS * SECOND_MS
    const { drainMs, stopMs, flushMs } = divideGrace(graceMs)
    if (logger !== false && config.DEBUG) app.log.level = 'debug'
    onSettings(config, app.log)
    await app.register(engine, { config, now: clock })
    const now = options.now ?? app.engine.now

    await app.register(metrics, { version, now })
    await app.register(errors, { now })
    await app.register(connection)
    await app.register(tracer, {
      endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
      headers: config.OTEL_EXPORTER_OTLP_HEADERS,
      serviceName: config.OTEL_SERVICE_NAME,
      version,
      graceMs
    })
    // Before what refuses: a refusal has these headers, too, and a preflight needs no key.
    await app.register(securityHeaders)
    await app.register(crossOrigin, { origins: config.CORS_ORIGIN })
    await app.register(jsonBody)
    await app.register(auth, { apiKey: config.API_KEY, auth: config.AUTH, host: config.HOST })
    await app.register(sessionStore, { timeoutMs, now, tracer: app.tracer })
    await app.register(rateLimit, { maxOfPerson: config.RATE_LIMIT_MAX, maxOfClient: config.RATE_LIMIT_KEY_MAX })
    await app.register(ephemeralData, { paths: listDataPaths(config), env: environment })
    await app.register(agent, {
      agent: config.AGENT,
      langgraphConfig: config.LANGGRAPH_CONFIG,
      langgraphGraph: config.LANGGRAPH_GRAPH,
      langgraphUrl: config.LANGGRAPH_URL,
      langgraphAssistantId: config.LANGGRAPH_ASSISTANT_ID,
      langgraphApiKey: config.LANGGRAPH_API_KEY,
      // What stands in the file of the agents gives way to everything else.
      setVariables: (variables: Environment) => { setVariables({ ...variables, ...environment }) },
      model: config.MODEL,
      openaiApiKey: config.OPENAI_API_KEY,
      openaiBaseUrl: config.OPENAI_BASE_URL,
      anthropicApiKey: config.ANTHROPIC_API_KEY,
      ollamaBaseUrl: config.OLLAMA_BASE_URL,
      limits: { maxToolCalls: config.MAX_TOOL_CALLS, maxSteps: config.RECURSION_LIMIT },
      now,
      tracer: app.tracer
    })
    await app.register(turnDesk, { now })
    await app.register(conversation, {
      pendingText: config.PENDING_TEXT,
      maxQueuedTurns: config.MAX_QUEUED_TURNS,
      maxConcurrentTurns: config.MAX_CONCURRENT_TURNS,
      approvalTimeoutMs: config.APPROVAL_TIMEOUT_MINUTES === undefined ? undefined : toMs(config.APPROVAL_TIMEOUT_MINUTES, MINUTE_MS),
      agentTimeoutMs: toMs(config.AGENT_TIMEOUT_SECONDS, SECOND_MS),
      keepConversations,
      now,
      drainMs,
      stopMs,
      tracer: app.tracer
    })
    await app.register(eventStream, { heartbeatMs, maxStreams: config.MAX_STREAMS, flushMs })
    // After everything that loads: a start keeps the event loop busy, too.
    await app.register(overload, { now, ...(maxLoopDelayMs !== undefined && { maxDelayMs: maxLoopDelayMs }) })
    await app.register(sessionCleanup, { intervalMs: toMs(config.CLEANUP_INTERVAL_MINUTES, MINUTE_MS), timeoutMs, keepConversations, now })

    await app.register(openapi, { version, summary, license })
    const endpoints = ['GET /docs']
    app.addHook('onRoute', function noteEndpoint ({ method, url }) {
      if (method !== 'HEAD') endpoints.push(`${String(method)} ${url}`)
    })
    await app.register(root, { version, endpoints })
    await app.register(apiDocument)
    await app.register(health, { version, now })
    await app.register(chat)
    await app.register(approve)
    await app.register(sessions)
    await app.register(metricsRoute)
    return app
  } catch (error) {
    await app.close()
    throw error
  }
}

/** Whole milliseconds, at least one: a fraction of a setting may be neither. */
function toMs (amount: number, unitMs: number): number {
  return Math.max(1, Math.round(amount * unitMs))
}

/** What becomes of each line of the log. */
function describeLines (environment: Environment) {
  const secrets = listSecrets(environment)
  return {
    serializers: { err: makeErrorSerializer(secrets), req: describeLoggedRequest },
    mixin: describeTrace,
    hooks: { streamWrite: makeLineMask(secrets) }
  }
}
