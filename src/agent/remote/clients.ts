import { Client } from '@langchain/langgraph-sdk'
import type { Tracer } from '@opentelemetry/api'
import { ServiceError } from '../../errors.ts'
import { RemoteFailure } from './failure.ts'
import { traceFetch } from './traced-fetch.ts'

/** How a LangGraph server is reached. */
export interface ClientOptions {
  /** May hold a user and a password. */
  readonly url: string
  readonly apiKey?: string | undefined
  /** Time for everything but a run: the server is only asked to read or write. */
  readonly requestTimeoutMs?: number | undefined
  /** Makes a span of each call; none without it. */
  readonly tracer?: Tracer | undefined
}

/** The SDK's client twice: what begins or changes something must not be sent again by itself. */
export interface Clients {
  readonly reads: Client
  readonly writes: Client
  /** Asks the server whether it is well; nothing is tried again. Throws a `RemoteFailure`, or the reason of the signal. */
  readonly ping: (signal: AbortSignal) => Promise<void>
}

/**
 * Makes the clients of one server; they connect when they are used.
 *
 * *Promise.* The key goes to this server alone: it is taken from no ambient variable, and no redirection is followed. The SDK's own limits, four
 * requests at a time and four retries, would queue turns and repeat runs: there is no limit, and one retry for what only reads.
 *
 * Throws SETTING_INVALID.
 */
export function makeClients ({ url, apiKey, requestTimeoutMs = 15_000, tracer }: ClientOptions): Clients {
  if (!URL.canParse(url)) throw new ServiceError('SETTING_INVALID', { message: 'LANGGRAPH_URL must be a URL that starts with http:// or https://' })
  const { username, password, origin, pathname } = new URL(url)
  const basic = Buffer.from(`${decode(username)}:${decode(password)}`).toString('base64')
  const apiUrl = origin + pathname.replace(/\/+$/, '')
  // fetch takes no address with a password in it.
  const defaultHeaders: Record<string, string> = username === '' && password === '' ? {} : { authorization: `Basic ${basic}` }
  const makeClient = (maxRetries: number) => new Client({
    apiUrl,
    // Null, not undefined: the SDK would look for a key in the variables of other services, and send it here.
    apiKey: apiKey ?? null,
    timeoutMs: requestTimeoutMs,
    callerOptions: { maxRetries, maxConcurrency: Infinity, fetch: traceFetch(fetchHere, tracer) },
    defaultHeaders
  })
  const ping = async (signal: AbortSignal): Promise<void> => {
    const headers = { ...defaultHeaders, ...(apiKey !== undefined && { 'x-api-key': apiKey }) }
    const response = await fetchHere(`${apiUrl}/ok`, { headers, signal })
    await response.body?.cancel()
    // Whatever else it says: it is there, and a proxy before it may not let this question through.
    if (response.status >= 500) throw new RemoteFailure('status', `The LangGraph server answered ${response.status}`, { status: response.status })
  }
  return { reads: makeClient(1), writes: makeClient(0), ping }
}

/** Of an address; one that somebody wrote with a bare percent sign means just that. */
function decode (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

async function fetchHere (input: string | URL | Request, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(input, { ...init, redirect: 'error' })
  } catch (error) {
    // By this name alone does the SDK know that nothing is to be tried again; who ended the call knows why.
    if (init?.signal?.aborted === true) throw isTimeout(error) ? error : new DOMException('The call was ended', 'AbortError')
    throw new RemoteFailure('connection', `The LangGraph server cannot be reached (${readCode(error)})`, { cause: error })
  }
}

function isTimeout (error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError'
}

function readCode (error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code
  return cause instanceof Error ? cause.name : 'no answer'
}
