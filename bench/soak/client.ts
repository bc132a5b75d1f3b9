import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { API_KEY } from './settings.ts'

/** The fields of all answers; each has some of them. */
export interface AnswerBody {
  readonly status: string
  readonly code: string
  readonly user_id: string
  readonly session_id: string
  readonly platform: string
  readonly message: string
  readonly requires_approval: boolean
  readonly approval_data: { readonly approval_id: string, readonly tool_name: string, readonly args: object } | null
  readonly count: number
  readonly next_cursor: string | null
  readonly active_sessions: ReadonlyArray<{ readonly session_id: string, readonly user_id: string }>
  readonly sessions: ReadonlyArray<{ readonly session_id: string, readonly user_id: string }>
  readonly messages: ReadonlyArray<{ readonly role: string, readonly content: string }>
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: AnswerBody
}

/** What is sent, and which answers are right. */
export interface Ask {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: object | string
  readonly headers?: Readonly<Record<string, string>>
  /** A status, or a status and its code, as `409 TURN_CANCELLED`. */
  readonly allowed: readonly string[]
}

/** An answer that the service should not have given, or one that it did not give. */
export class Finding extends Error {
  override readonly name = 'Finding'
}

/** Who waits for longer finds a service that hangs. */
const PATIENCE_MS = 60_000

/** Talks to the service as bots do, counts what it answers, and knows what it may. */
export class Client {
  readonly #url: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 16 })
  readonly #counts = new Map<string, number>()
  /** Of chat and approve without a stream: when, and how long it took. */
  readonly latencies: { readonly atMs: number, readonly ms: number }[] = []

  constructor (url: string) {
    this.#url = url
  }

  /** How often each answer came. */
  get counts (): ReadonlyMap<string, number> {
    return this.#counts
  }

  get url (): URL {
    return new URL(this.#url)
  }

  async send (ask: Ask): Promise<Answer> {
    const startedAtMs = performance.now()
    const response = await this.open(ask)
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
    const answer = { status: response.statusCode ?? 0, headers: response.headers, body: parse(text, response) }
    if (/^\/api\/(chat|approve)$/.test(ask.path)) this.latencies.push({ atMs: startedAtMs, ms: performance.now() - startedAtMs })
    this.judge(ask, answer.status, answer.body.code)
    return answer
  }

  /** Counts an answer. Throws if it is none of those that are allowed. */
  judge ({ method = 'POST', path, allowed }: Ask, status: number, code: string | undefined): void {
    const name = code === undefined ? String(status) : `${status} ${code}`
    this.count(name)
    if (!allowed.includes(name) && !(code !== undefined && allowed.includes(String(status)))) {
      throw new Finding(`${method} ${hideIds(path)} was answered with ${name}, not with ${allowed.join(' or ')}`)
    }
  }

  count (name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  /** Sends a request, and resolves when its answer begins. */
  async open ({ method = 'POST', path, body, headers }: Ask): Promise<IncomingMessage> {
    const text = typeof body === 'object' ? JSON.stringify(body) : body
    const sent = {
      authorization: `Bearer ${API_KEY}`,
      ...(text !== undefined && { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }),
      ...headers
    }
    return await new Promise((resolve, reject) => {
      const asked = request(new URL(path, this.#url), { method, agent: this.#agent, headers: sent }, resolve)
      asked.setTimeout(PATIENCE_MS, () => { asked.destroy(new Finding(`${method} ${hideIds(path)} was not answered within ${PATIENCE_MS / 1000} s`)) })
      asked.on('error', error => { reject(error instanceof Finding ? error : new Finding(`${method} ${hideIds(path)}: ${error.message}`, { cause: error })) })
      asked.end(text)
    })
  }

  close (): void {
    this.#agent.destroy()
  }
}

/** So that findings of one kind are counted as one. */
function hideIds (path: string): string {
  return path.replace(/[0-9a-f-]{36}/, '…')
}

function parse (text: string, { headers }: IncomingMessage): AnswerBody {
  const isJson = headers['content-type']?.includes('application/json') === true
  const body: AnswerBody = JSON.parse(isJson ? text : '{}')
  return body
}
