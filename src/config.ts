import { dirname, join } from 'node:path'
import { parseEnv } from 'node:util'
import { KindGuard, Type, type Static, type TSchema } from '@sinclair/typebox'
import { isOriginList, isProxyList } from './setting-lists.ts'

/** A hundred years: a cut-off that far back is still a valid date. */
const MAX_TIMEOUT_MINUTES = 52_560_000

/** `setInterval` fires at once when asked to wait longer than 2^31 - 1 ms. */
const MAX_INTERVAL_MINUTES = 35_790

// `title` says what a text may be, in the line that refuses another; `writeOnly` marks a secret (both are JSON Schema's own words)
const url = { pattern: '^https?://[^\\s/]\\S*$', title: 'a URL that starts with http:// or https://' }
const databaseUrl = { pattern: '^postgres(ql)?://\\S+$', title: 'a URL that starts with postgres:// or postgresql://', writeOnly: true }
const redisUrl = { pattern: '^rediss?://\\S+$', title: 'a URL that starts with redis:// or rediss://', writeOnly: true }
const secret = { pattern: '^[\\x21-\\x7e]+$', title: 'ASCII characters without spaces', writeOnly: true }
const headers = {
  pattern: '^[\\w!#$%&\'*+.^`|~-]+=[\\x20-\\x2b\\x2d-\\x7e]*(, *[\\w!#$%&\'*+.^`|~-]+=[\\x20-\\x2b\\x2d-\\x7e]*)*$',
  title: 'name=value, separated by commas',
  writeOnly: true
}

/** The settings: the one place where each has its name, type, default and text. */
export const Config = Type.Object({
  HOST: Type.String({ pattern: '^\\S+$', title: 'an address or a host name', default: '127.0.0.1', description: 'Address to listen on; 0.0.0.0 for all' }),
  PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 8000, description: 'Port to listen on; 0 for any that is free' }),
  SESSION_STORE: Type.Union([Type.Literal('csv'), Type.Literal('postgres'), Type.Literal('redis')], {
    default: 'csv', description: 'What keeps the sessions. csv: files, for one process. postgres, redis: a server, for any number of replicas'
  }),
  DATABASE_URL: Type.Optional(Type.String({
    ...databaseUrl, description: 'Postgres for SESSION_STORE=postgres, or for the conversations alone beside redis'
  })),
  DATABASE_POOL_SIZE: Type.Integer({ minimum: 2, maximum: 1000, default: 10, description: 'Connections to Postgres that one replica opens at most, beside one for events' }),
  REDIS_URL: Type.Optional(Type.String({ ...redisUrl, description: 'Redis for SESSION_STORE=redis' })),
  SESSIONS_CSV_PATH: Type.String({
    minLength: 1, default: 'sessions.csv', description: 'File that keeps the sessions; its lock and its journal stand beside it'
  }),
  SESSIONS_FSYNC: Type.Union([Type.Literal('always'), Type.Literal('never')], {
    default: 'always', description: 'always: a saved session survives a power cut. never: it survives a crash of the process, and saving costs less'
  }),
  SESSION_TIMEOUT_MINUTES: Type.Number({
    exclusiveMinimum: 0, maximum: MAX_TIMEOUT_MINUTES, default: 60, description: 'Silence after which a session has ended; fractions are allowed'
  }),
  CLEANUP_INTERVAL_MINUTES: Type.Number({
    exclusiveMinimum: 0, maximum: MAX_INTERVAL_MINUTES, default: 5, description: 'Time between two sweeps of ended sessions; fractions are allowed'
  }),
  CONVERSATIONS_PATH: Type.Optional(Type.String({
    minLength: 1, description: 'File that keeps the conversations; conversations.sqlite beside SESSIONS_CSV_PATH if not set'
  })),
  KEEP_CONVERSATIONS: Type.Boolean({ default: false, description: 'Keep the conversation of a session that has ended' }),
  AGENT: Type.Optional(Type.String({
    minLength: 1, description: 'Your own agent: a file and the name of its graph, as ./my-agent.ts:graph; its default export without a name'
  })),
  LANGGRAPH_CONFIG: Type.Optional(Type.String({
    minLength: 1, description: 'File that names your own agents, as the CLI of LangGraph reads it; langgraph.json, where there is one, if not set'
  })),
  LANGGRAPH_GRAPH: Type.Optional(Type.String({ minLength: 1, description: 'Which graph of that file, where it names several' })),
  LANGGRAPH_URL: Type.Optional(Type.String({ ...url, description: 'LangGraph server that runs the agent; not together with AGENT' })),
  LANGGRAPH_ASSISTANT_ID: Type.String({ minLength: 1, default: 'agent', description: 'Which assistant or graph of that server' }),
  LANGGRAPH_API_KEY: Type.Optional(Type.String({ ...secret, description: 'Key for that server' })),
  MODEL: Type.Optional(Type.String({
    pattern: '^[a-z][a-z0-9_-]*[:/]\\S+$',
    title: 'provider:model or provider/model',
    description: 'Model of the built-in agent, as provider:model or provider/model; the offline model if not set'
  })),
  OPENAI_API_KEY: Type.Optional(Type.String({ ...secret, description: 'Key for models of openai' })),
  OPENAI_BASE_URL: Type.Optional(Type.String({ ...url, description: 'Another server that speaks the API of OpenAI' })),
  ANTHROPIC_API_KEY: Type.Optional(Type.String({ ...secret, description: 'Key for models of anthropic' })),
  OLLAMA_BASE_URL: Type.Optional(Type.String({ ...url, description: 'Server for models of ollama; its usual local address if not set' })),
  PENDING_TEXT: Type.Union([Type.Literal('repeat'), Type.Literal('reject')], {
    default: 'repeat', description: 'What a text that is no decision does to a waiting question. repeat: asks again. reject: rejects, the text being the reason'
  }),
  APPROVAL_TIMEOUT_MINUTES: Type.Optional(Type.Number({
    exclusiveMinimum: 0, maximum: MAX_TIMEOUT_MINUTES, description: 'Time that a question waits for its answer; as long as the session if not set'
  })),
  MAX_TOOL_CALLS: Type.Integer({ minimum: 1, default: 25, description: 'Tools that the agent may call in one turn; more are refused' }),
  RECURSION_LIMIT: Type.Integer({ minimum: 1, default: 100, description: 'Steps that a graph may take in one turn; more end it' }),
  MAX_QUEUED_TURNS: Type.Integer({ minimum: 0, default: 8, description: 'Messages of one session that may wait for their turn; more are refused' }),
  MAX_CONCURRENT_TURNS: Type.Integer({ minimum: 1, default: 64, description: 'Turns that run at once, of all sessions together; more wait, but not for long' }),
  AGENT_TIMEOUT_SECONDS: Type.Number({ exclusiveMinimum: 0, maximum: 3600, default: 120, description: 'Time that the agent has for one turn' }),
  SHUTDOWN_GRACE_SECONDS: Type.Number({
    minimum: 0, maximum: 600, default: 4, description: 'Time from the signal to the exit: running turns may finish, then they are cancelled'
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(Type.String({
    ...url, description: 'Collector that traces are sent to, over OTLP/HTTP; /v1/traces is added. No traces if not set'
  })),
  OTEL_EXPORTER_OTLP_HEADERS: Type.Optional(Type.String({
    ...headers, description: 'Headers for that collector, such as a key: name=value, separated by commas, values percent-encoded'
  })),
  OTEL_SERVICE_NAME: Type.String({ minLength: 1, default: 'holdline', description: 'Name of this service in its traces' }),
  API_KEY: Type.Optional(Type.String({
    ...secret, description: 'Keys that clients must send: one, or several as [name:]secret[:scope+scope] separated by commas; if not set, HOST must be this machine'
  })),
  AUTH: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on', description: 'off: without API_KEY, anybody who reaches HOST may call, wherever they are'
  }),
  RATE_LIMIT_MAX: Type.Integer({ minimum: 0, default: 60, description: 'Messages and decisions of one person in a minute; 0 for any number' }),
  RATE_LIMIT_KEY_MAX: Type.Integer({
    minimum: 0, default: 0, description: 'Requests with one API key in a minute, or from one address where there are no keys; 0 for any number'
  }),
  MAX_STREAMS: Type.Integer({
    minimum: 0, default: 100, description: 'Event streams of one API key, or of one address where there are no keys, open at once; 0 for any number'
  }),
  CORS_ORIGIN: Type.Optional(Type.String({
    format: 'origins',
    title: 'origins such as https://chat.example, separated by commas, or *',
    description: 'Web pages that may call from a browser: origins, separated by commas, or * for all; none if not set'
  })),
  TRUST_PROXY: Type.Optional(Type.String({
    format: 'proxies',
    title: 'addresses and CIDR ranges such as 10.0.0.0/8, separated by commas',
    description: 'Proxies whose X-Forwarded-For is believed: addresses and CIDR ranges, separated by commas; none if not set'
  })),
  RUN_AS: Type.Optional(Type.String({
    pattern: '^(?:[1-9]\\d{0,8}|[1-3]\\d{9}):(?:\\d{1,9}|[1-3]\\d{9})$',
    title: 'uid:gid, the numbers of an ordinary user and a group',
    description: 'Whom the service becomes when root starts it, as uid:gid; the data folder becomes theirs. Root goes on as root if not set'
  })),
  DEBUG: Type.Boolean({ default: false, description: 'Log at level debug; never what people or the agent say' })
})
export type Config = Readonly<Static<typeof Config>>

/** What a text has to be beyond a pattern, by the name of the format. */
export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = { origins: isOriginList, proxies: isProxyList }

/** Variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

const SETTINGS: ReadonlyMap<string, TSchema> = new Map(Object.entries<TSchema>(Config.properties))

/** The names of the settings. */
export const SETTING_NAMES: ReadonlySet<string> = new Set(SETTINGS.keys())

/** The names of the settings that must not appear in a log or a message. */
export const SECRET_SETTINGS: ReadonlySet<string> = new Set([...SETTINGS].filter(([, schema]) => schema.writeOnly === true).map(([name]) => name))

const BOOLEAN_WORDS: ReadonlyMap<string, string> = new Map([
  ['true', 'true'], ['1', 'true'], ['yes', 'true'], ['on', 'true'],
  ['false', 'false'], ['0', 'false'], ['no', 'false'], ['off', 'false']
])

/**
 * The text of a `.env` file and the environment as one: the environment wins. White space around a value does not count (a file with CRLF,
 * read by `docker --env-file`, leaves a CR behind), and a value that is empty then counts as not set, so that it hides no other.
 */
export function mergeEnvironment (dotenvText: string, env: Environment): Record<string, string> {
  const merged = new Map<string, string>()
  // without its BOM, or the first name of the file would start with one
  for (const source of [parseEnv(dotenvText.replace(/^\uFEFF/, '')), env]) {
    for (const [name, value = ''] of Object.entries(source)) {
      if (value.trim() !== '') merged.set(name, value.trim())
    }
  }
  return Object.fromEntries(merged)
}

/** The settings among the variables, in the words that the validator knows. */
export function selectSettings (env: Environment): Record<string, string> {
  const selected: Record<string, string> = {}
  for (const [name, schema] of SETTINGS) {
    const value = env[name]
    if (value !== undefined) selected[name] = normalizeWord(value, schema)
  }
  return selected
}

function normalizeWord (value: string, schema: TSchema): string {
  if (KindGuard.IsBoolean(schema)) return BOOLEAN_WORDS.get(value.toLowerCase()) ?? value
  // ajv coerces "Infinity" and "1e400", then skips the maximum of what is not finite; it refuses "NaN"
  if (KindGuard.IsNumber(schema) || KindGuard.IsInteger(schema)) return Number.isFinite(Number(value)) ? value : 'NaN'
  return value
}

/** One line on a setting that was refused: its name, what it may be, what it was. */
export function formatRefusal (name: string, received: string | undefined): string {
  const schema = SETTINGS.get(name)
  return `${name} must be ${schema === undefined ? 'left out' : formatExpectation(schema)}, received ${formatReceived(name, received)}`
}

/** The files that keep what outlives the process; none where a server does. */
export function listDataPaths (config: Config): string[] {
  return config.SESSION_STORE === 'csv' ? [config.SESSIONS_CSV_PATH, resolveConversationsPath(config)] : []
}

/** Where the conversations are kept: as set, otherwise beside the sessions. */
export function resolveConversationsPath (config: Pick<Config, 'SESSIONS_CSV_PATH' | 'CONVERSATIONS_PATH'>): string {
  return config.CONVERSATIONS_PATH ?? join(dirname(config.SESSIONS_CSV_PATH), 'conversations.sqlite')
}

function formatExpectation (schema: TSchema): string {
  if (KindGuard.IsBoolean(schema)) return 'true or false (or 1, 0, yes, no, on, off)'
  if (KindGuard.IsInteger(schema)) return `an integer ${formatRange(schema)}`
  if (KindGuard.IsNumber(schema)) return `a number ${formatRange(schema)}`
  if (KindGuard.IsUnion(schema)) return schema.anyOf.map(choice => String(choice.const)).join(' or ')
  return schema.title ?? 'a text'
}

function formatRange ({ minimum, exclusiveMinimum, maximum }: { minimum?: number, exclusiveMinimum?: number, maximum?: number }): string {
  if (exclusiveMinimum !== undefined) return `above ${exclusiveMinimum}${maximum === undefined ? '' : ` and at most ${maximum}`}`
  return maximum === undefined ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`
}

/** A password stands before an `@` or behind a `?`; a key that was pasted into the wrong line starts with `sk-`. */
const CREDENTIAL_PATTERN = /^sk-|@|:\/\/.*\?/s

function formatReceived (name: string, received: string | undefined): string {
  if (received === undefined) return 'nothing'
  if (SECRET_SETTINGS.has(name) || CREDENTIAL_PATTERN.test(received)) return 'a value that is not shown'
  // JSON keeps to one line, save for the line breaks of Unicode
  return JSON.stringify(received.length > 100 ? `${received.slice(0, 100)}…` : received).replace(/[\u007f-\u009f\u2028\u2029]/g, ' ')
}
