import Fastify, { type FastifyInstance } from 'fastify'
import { test, type Test } from 'tap'
import env from '../../plugins/env.ts'
import { Config, type Environment } from '../../src/config.ts'

const DEFAULTS: Config = {
  HOST: '127.0.0.1',
  PORT: 8000,
  SESSION_STORE: 'csv',
  DATABASE_POOL_SIZE: 10,
  SESSIONS_CSV_PATH: 'sessions.csv',
  SESSIONS_FSYNC: 'always',
  SESSION_TIMEOUT_MINUTES: 60,
  CLEANUP_INTERVAL_MINUTES: 5,
  KEEP_CONVERSATIONS: false,
  LANGGRAPH_ASSISTANT_ID: 'agent',
  PENDING_TEXT: 'repeat',
  MAX_TOOL_CALLS: 25,
  RECURSION_LIMIT: 100,
  MAX_QUEUED_TURNS: 8,
  MAX_CONCURRENT_TURNS: 64,
  AGENT_TIMEOUT_SECONDS: 120,
  SHUTDOWN_GRACE_SECONDS: 4,
  AUTH: 'on',
  RATE_LIMIT_MAX: 60,
  RATE_LIMIT_KEY_MAX: 0,
  MAX_STREAMS: 100,
  OTEL_SERVICE_NAME: 'holdline',
  DEBUG: false
}

function start (t: Test, variables: Environment): FastifyInstance {
  const app = Fastify()
  t.after(() => app.close())
  app.register(env, { env: variables })
  return app
}

async function readConfig (t: Test, variables: Environment): Promise<Config> {
  const app = start(t, variables)
  await app.ready()
  return app.config
}

test('without any variable every setting has its default, and the optional ones are absent', async t => {
  t.strictSame(await readConfig(t, {}), DEFAULTS)
})

test('every setting can be set', async t => {
  const variables = {
    HOST: '::',
    PORT: '0',
    SESSION_STORE: 'postgres',
    DATABASE_URL: 'postgresql://u:p@db.example:5432/holdline?sslmode=verify-full',
    DATABASE_POOL_SIZE: '20',
    REDIS_URL: 'rediss://:p@redis.example:6379/1',
    SESSIONS_CSV_PATH: '/data/a b.csv',
    SESSIONS_FSYNC: 'never',
    SESSION_TIMEOUT_MINUTES: '0.5',
    CLEANUP_INTERVAL_MINUTES: '35790',
    CONVERSATIONS_PATH: 'c.sqlite',
    KEEP_CONVERSATIONS: 'Yes',
    AGENT: './my agent.ts:graph',
    LANGGRAPH_CONFIG: 'agents/langgraph.json',
    LANGGRAPH_GRAPH: 'my agent',
    LANGGRAPH_URL: 'http://localhost:2024',
    LANGGRAPH_ASSISTANT_ID: 'other',
    LANGGRAPH_API_KEY: 'lsv2_1',
    MODEL: 'ollama:llama3.1:8b',
    OPENAI_API_KEY: 'sk-1',
    OPENAI_BASE_URL: 'https://me:secret@host/v1',
    ANTHROPIC_API_KEY: 'sk-2',
    OLLAMA_BASE_URL: 'http://localhost:11434',
    PENDING_TEXT: 'reject',
    APPROVAL_TIMEOUT_MINUTES: '0.5',
    MAX_TOOL_CALLS: '1',
    RECURSION_LIMIT: '10',
    MAX_QUEUED_TURNS: '0',
    MAX_CONCURRENT_TURNS: '1',
    AGENT_TIMEOUT_SECONDS: '0.1',
    SHUTDOWN_GRACE_SECONDS: '0',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otel.example.com:4318/base',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b, authorization=Basic dTpw',
    OTEL_SERVICE_NAME: 'my bot',
    API_KEY: 'k',
    AUTH: 'off',
    RATE_LIMIT_MAX: '0',
    RATE_LIMIT_KEY_MAX: '600',
    MAX_STREAMS: '0',
    CORS_ORIGIN: 'https://chat.example, http://localhost:3000',
    TRUST_PROXY: '127.0.0.1, 10.0.0.0/8, fd00::/8',
    RUN_AS: '1000:1000',
    DEBUG: '1'
  }
  t.same(Object.keys(variables).sort(), Object.keys(Config.properties).sort())
  t.strictSame(await readConfig(t, variables), {
    ...variables,
    PORT: 0,
    DATABASE_POOL_SIZE: 20,
    SESSION_TIMEOUT_MINUTES: 0.5,
    CLEANUP_INTERVAL_MINUTES: 35_790,
    KEEP_CONVERSATIONS: true,
    APPROVAL_TIMEOUT_MINUTES: 0.5,
    MAX_TOOL_CALLS: 1,
    RECURSION_LIMIT: 10,
    MAX_QUEUED_TURNS: 0,
    MAX_CONCURRENT_TURNS: 1,
    AGENT_TIMEOUT_SECONDS: 0.1,
    SHUTDOWN_GRACE_SECONDS: 0,
    RATE_LIMIT_MAX: 0,
    RATE_LIMIT_KEY_MAX: 600,
    MAX_STREAMS: 0,
    DEBUG: true
  })
})

test('a model is named with a colon or a slash', async t => {
  for (const MODEL of ['openai:gpt-4o', 'openai/gpt-4o', 'ollama/hf.co/x/y:Q4']) t.equal((await readConfig(t, { MODEL })).MODEL, MODEL)
})

test('variables that are no settings, and those without a value, leave no trace', async t => {
  t.strictSame(await readConfig(t, { PATH: '/bin', constructor: 'x', HOST: undefined, MODEL: undefined }), DEFAULTS)
})

test('the environment of the process is not read', async t => {
  // npm and tap set variables of their own; PATH is always there
  t.notOk('PATH' in await readConfig(t, {}))
  t.equal((await readConfig(t, Object.freeze({ PORT: '1' }))).PORT, 1)
})

test('a value that a setting may not have ends the start, naming the setting', async t => {
  const refused: Array<[keyof Config, string[]]> = [
    ['HOST', ['', 'a b']],
    ['PORT', ['abc', '-1', '65536', '1.5', 'true', '', 'Infinity']],
    ['SESSION_STORE', ['', 'sqlite', 'CSV']],
    ['DATABASE_URL', ['', 'db.example', 'http://db.example', 'postgres://']],
    ['DATABASE_POOL_SIZE', ['1', '1.5', '1001', '']],
    ['REDIS_URL', ['', 'redis.example', 'http://redis.example', 'redis://']],
    ['SESSIONS_CSV_PATH', ['']],
    ['SESSIONS_FSYNC', ['sometimes', 'ALWAYS', 'true']],
    ['SESSION_TIMEOUT_MINUTES', ['0', '-1', 'NaN', 'Infinity', '1e400', '52560001', '1 h']],
    ['CLEANUP_INTERVAL_MINUTES', ['0', '-1', '35791', 'Infinity', '-Infinity']],
    ['CONVERSATIONS_PATH', ['']],
    ['KEEP_CONVERSATIONS', ['maybe', '2', '']],
    ['AGENT', ['']],
    ['LANGGRAPH_CONFIG', ['']],
    ['LANGGRAPH_GRAPH', ['']],
    ['LANGGRAPH_URL', ['localhost:2024', 'ws://localhost']],
    ['LANGGRAPH_ASSISTANT_ID', ['']],
    ['LANGGRAPH_API_KEY', ['a b']],
    ['MODEL', ['gpt-4o', ':x', 'openai:', 'openai: x']],
    ['OPENAI_API_KEY', ['a b', 'ключ']],
    ['OPENAI_BASE_URL', ['localhost:80', 'ftp://x', 'http://']],
    ['ANTHROPIC_API_KEY', ['a\nb']],
    ['OLLAMA_BASE_URL', ['localhost:11434']],
    ['PENDING_TEXT', ['ignore']],
    ['APPROVAL_TIMEOUT_MINUTES', ['0', '-1', 'NaN', '52560001']],
    ['MAX_TOOL_CALLS', ['0', '1.5', 'Infinity']],
    ['RECURSION_LIMIT', ['0', 'x']],
    ['MAX_QUEUED_TURNS', ['-1', '1.5', 'Infinity', 'many']],
    ['MAX_CONCURRENT_TURNS', ['0', '-1', '1.5', 'Infinity']],
    ['AGENT_TIMEOUT_SECONDS', ['0', '3601']],
    ['SHUTDOWN_GRACE_SECONDS', ['-1', '601']],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', ['localhost:4318', 'grpc://localhost:4317']],
    ['OTEL_EXPORTER_OTLP_HEADERS', ['key', 'a b=c', 'a=b,c', 'a=b\nc=d', '=a']],
    ['OTEL_SERVICE_NAME', ['']],
    ['API_KEY', ['a b', '']],
    ['AUTH', ['OFF', 'false', '']],
    ['RATE_LIMIT_MAX', ['-1', '0.5', 'none']],
    ['RATE_LIMIT_KEY_MAX', ['-1', 'Infinity']],
    ['MAX_STREAMS', ['-1', '1.5']],
    ['CORS_ORIGIN', ['chat.example', 'https://a.example/path', 'https://a.example,', '*, https://a.example', 'https://*.example', 'null', 'http://1.2.3.4.5', 'https://a.example:99999']],
    ['TRUST_PROXY', ['true', '1', '*', 'proxy.example', '10.0.0.0/8,', '10.0.0.0/33', '10.0.0.0/0', '::/0', '::/129', '10.0.0.0/255.0.0.0', 'fe80::1%eth0', '::ffff:10.0.0.1', 'loopback']],
    ['RUN_AS', ['', 'node', '1000', '0:0', '0:1000', '1000:', '1000:1000:1000', '-1:1', '4000000000:1', '1000:node']],
    ['DEBUG', ['debug']]
  ]
  t.same(refused.map(([name]) => name).sort(), Object.keys(Config.properties).sort())
  for (const [name, values] of refused) {
    for (const value of values) {
      await t.rejects(readConfig(t, { [name]: value }), { code: 'SETTING_INVALID', message: new RegExp(`^${name} must be [^\n]+$`) }, `${name}=${value}`)
    }
  }
})

test('several bad settings are all named, in one line', async t => {
  await t.rejects(readConfig(t, { PORT: 'abc', DEBUG: 'maybe', API_KEY: 'a b' }), {
    message: 'PORT must be an integer from 0 to 65535, received "abc"; ' +
      'API_KEY must be ASCII characters without spaces, received a value that is not shown; ' +
      'DEBUG must be true or false (or 1, 0, yes, no, on, off), received "maybe"'
  })
})

test('neither the error nor its cause holds a secret that was refused', async t => {
  const error = await readConfig(t, { API_KEY: 'hush hush', OPENAI_BASE_URL: 'ftp://me:hush@host', PORT: 'x' }).catch((error: unknown) => error)
  t.type(error, Error)
  if (error instanceof Error) {
    t.notMatch(JSON.stringify(error, Object.getOwnPropertyNames(error)), /hush/)
    t.equal(error.cause, undefined)
  }
})

test('no later plugin runs when a setting is bad', async t => {
  const app = start(t, { PORT: 'abc' })
  app.register(async () => t.fail('a later plugin ran'))
  await t.rejects(async () => { await app.ready() }, { code: 'SETTING_INVALID' })
})

test('a failure that is not about a setting rises as it is', async t => {
  const app = Fastify()
  t.after(() => app.close())
  app.decorate('config', DEFAULTS)
  app.register(env, { env: {} })
  await t.rejects(async () => { await app.ready() }, { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
})

test('the schema is left as it was, and serves any number of starts', async t => {
  const before = JSON.stringify(Config)
  t.equal((await readConfig(t, { PORT: '1' })).PORT, 1)
  t.equal((await readConfig(t, {})).PORT, 8000)
  t.equal(JSON.stringify(Config), before)
})

test('a later plugin finds the settings in its options and can depend on env by name', async t => {
  const app = start(t, { PORT: '1' })
  t.plan(2)
  app.register(async (_, options: { port: number }) => t.equal(options.port, 1), ({ config }: FastifyInstance) => ({ port: config.PORT }))
  await app.ready()
  t.ok(app.hasPlugin('env'))
})
