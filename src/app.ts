import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import Fastify, { LogController, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import agent from '../plugins/agent.ts'
import auth from '../plugins/auth.ts'
import conversation from '../plugins/conversation.ts'
import env from '../plugins/env.ts'
import errors, { refuseConnection, sendError } from '../plugins/errors.ts'
import eventStream from '../plugins/event-stream.ts'
import jsonBody from '../plugins/json-body.ts'
import metrics from '../plugins/metrics.ts'
import sessionCleanup from '../plugins/session-cleanup.ts'
import sessionStore from '../plugins/session-store.ts'
import turnDesk from '../plugins/turn-desk.ts'
import approve from '../routes/approve.ts'
import chat from '../routes/chat.ts'
import health from '../routes/health.ts'
import metricsRoute from '../routes/metrics.ts'
import root from '../routes/root.ts'
import sessions from '../routes/sessions.ts'
import packageJson from '../package.json' with { type: 'json' }
import { resolveConversationsPath, SECRET_SETTINGS, type Environment } from './config.ts'
import { makeErrorSerializer } from './log.ts'

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
  /** After how long a silent event stream says that it is still there. */
  readonly heartbeatMs?: number
}

const MINUTE_MS = 60_000
const SECOND_MS = 1000

/** Of the time to stop, the part that turns may use; the rest is for the answers, the flush and the exit. */
const DRAIN_SHARE = 0.7

/** And the part that turns may take to end once they were cancelled; what does not end by then is given up. */
const STOP_SHARE = 0.15

/** They get that much even where there is no time at all: a claim or a reply may be on its way to the disk. */
const MIN_STOP_MS = 150

/** And the part that clients have to read the last events of their streams. */
const FLUSH_SHARE = 0.05
const MIN_FLUSH_MS = 100

/** The floor plan: plugins, then routes; closing runs it backwards. Rejects with SETTING_INVALID, FILE_LOCKED or FILE_INVALID. */
export async function buildApp (options: AppOptions): Promise<FastifyInstance> {
  const { env: environment, logger = false, now = Date.now, setVariables = () => {}, heartbeatMs = 15 * SECOND_MS } = options
  const secrets = [...SECRET_SETTINGS].map(name => environment[name] ?? '')
  const app = Fastify({
    logger: logger === false ? false : { ...(logger !== true && logger), serializers: { err: makeErrorSerializer(secrets) } },
    // One line a turn instead of two a request; the request's id is what clients see.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: readRequestId,
    // No value is ever coerced, and a field that nobody knows is ignored, not refused.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    bodyLimit: 256 * 1024,
    // In UTF-16 units: a user id of 256 characters beyond the basic plane, and its platform.
    routerOptions: { maxParamLength: 600 },
    requestTimeout: 30 * SECOND_MS,
    keepAliveTimeout: 65 * SECOND_MS,
    http: { headersTimeout: 10 * SECOND_MS },
    // The load of a big file takes its time.
    pluginTimeout: 0,
    // Those who come while turns drain are answered by us, in our own form.
    return503OnClosing: false,
    frameworkErrors (error, request, reply) {
      // Refused before a route is found, and before any hook runs.
      app.metrics.http.ended({ method: request.method, route: undefined, status: error.statusCode }, 0)
      sendError(error, request, reply)
    },
    clientErrorHandler (error, socket) {
      if (error.code !== 'ECONNRESET') app.metrics.http.refused()
      refuseConnection(error, socket)
    }
  })
  try {
    await app.register(env, { env: environment })
    const { config } = app
    const { version } = packageJson
    const timeoutMs = toMs(config.SESSION_TIMEOUT_MINUTES, MINUTE_MS)
    const keepConversations = config.KEEP_CONVERSATIONS
    if (logger !== false && config.DEBUG) app.log.level = 'debug'

    await app.register(metrics, { version, now })
    await app.register(errors)
    await app.register(jsonBody)
    await app.register(auth, { apiKey: config.API_KEY })
    await app.register(sessionStore, { path: config.SESSIONS_CSV_PATH, timeoutMs, fsync: config.SESSIONS_FSYNC, now })
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
      conversationsPath: resolveConversationsPath(config),
      limits: { maxToolCalls: config.MAX_TOOL_CALLS, maxSteps: config.RECURSION_LIMIT },
      now
    })
    await app.register(turnDesk, { now })
    await app.register(conversation, {
      pendingText: config.PENDING_TEXT,
      maxQueuedTurns: config.MAX_QUEUED_TURNS,
      approvalTimeoutMs: config.APPROVAL_TIMEOUT_MINUTES === undefined ? undefined : toMs(config.APPROVAL_TIMEOUT_MINUTES, MINUTE_MS),
      agentTimeoutMs: toMs(config.AGENT_TIMEOUT_SECONDS, SECOND_MS),
      keepConversations,
      now,
      drainMs: config.SHUTDOWN_GRACE_SECONDS * SECOND_MS * DRAIN_SHARE,
      stopMs: Math.max(config.SHUTDOWN_GRACE_SECONDS * SECOND_MS * STOP_SHARE, MIN_STOP_MS)
    })
    await app.register(eventStream, { heartbeatMs, flushMs: Math.max(MIN_FLUSH_MS, config.SHUTDOWN_GRACE_SECONDS * SECOND_MS * FLUSH_SHARE) })
    await app.register(sessionCleanup, { intervalMs: toMs(config.CLEANUP_INTERVAL_MINUTES, MINUTE_MS), timeoutMs, keepConversations, now })

    const endpoints: string[] = []
    app.addHook('onRoute', function noteEndpoint ({ method, url }) {
      if (method !== 'HEAD') endpoints.push(`${String(method)} ${url}`)
    })
    await app.register(root, { version, endpoints })
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

/** A client's own request id, if it is fit to stand in a header and a log line (CR or LF in it would forge one), else a new one. */
function readRequestId ({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const sent = headers['x-request-id']
  return typeof sent === 'string' && /^[\w.:-]{1,128}$/.test(sent) ? sent : randomUUID()
}
