import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Environment } from './config.ts'
import { isProxyList, splitList } from './setting-lists.ts'

/** How long a request may take to arrive: its headers, and all of it. */
export interface Arrival {
  readonly headersMs: number
  readonly requestMs: number
}

/** Whoever sends slower than that holds a connection, and is no chat. */
const ARRIVAL: Arrival = { headersMs: 10_000, requestMs: 30_000 }

/** How often slow ones are looked for: so much longer do they stay. */
const MAX_CHECK_MS = 2000

/** How the server takes requests: of what size, within what time, from whom; the rest of Fastify's defaults fits. */
export function describeServer (env: Environment, { headersMs, requestMs } = ARRIVAL) {
  return {
    genReqId: readRequestId,
    // No value is ever coerced, and a field that nobody knows is ignored, not refused.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    bodyLimit: 256 * 1024,
    // In UTF-16 units: a user id of 256 characters beyond the basic plane, and its platform.
    routerOptions: { maxParamLength: 600 },
    trustProxy: readProxies(env),
    requestTimeout: requestMs,
    keepAliveTimeout: 65_000,
    http: {
      headersTimeout: headersMs,
      connectionsCheckingInterval: Math.min(MAX_CHECK_MS, headersMs),
      // Checked by us, to be answered in our own form.
      requireHostHeader: false
    },
    // The load of a big file takes its time.
    pluginTimeout: 0,
    // Those who come while turns drain are answered by us, in our own form.
    return503OnClosing: false
  } as const
}

/**
 * The proxies to believe, which Fastify has to know before the settings are validated; what is no list is refused there. Never a number, or `true`: a
 * client could forge its address then.
 */
function readProxies ({ TRUST_PROXY: text = '' }: Environment): string[] | false {
  return isProxyList(text) ? splitList(text) : false
}

/** A client's own request id, if it is fit to stand in a header and a log line (CR or LF in it would forge one), else a new one. */
function readRequestId ({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const sent = headers['x-request-id']
  return typeof sent === 'string' && /^[\w.:-]{1,128}$/.test(sent) ? sent : randomUUID()
}
