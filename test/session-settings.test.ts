import Fastify from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import env from '../plugins/env.ts'
import { resolveConversationsPath, type Environment } from '../src/config.ts'
import { readSessionSettings } from '../src/session-settings.ts'

/** What the service makes of the settings: the same, or the same refusal. */
async function readAsService (environment: Environment): Promise<object | string> {
  const app = Fastify()
  try {
    await app.register(env, { env: environment })
    const { config } = app
    return {
      path: config.SESSIONS_CSV_PATH,
      conversationsPath: resolveConversationsPath(config),
      fsync: config.SESSIONS_FSYNC,
      timeoutMs: Math.max(1, Math.round(config.SESSION_TIMEOUT_MINUTES * 60_000)),
      runAs: config.RUN_AS,
      store: config.SESSION_STORE,
      ownConversationsPath: config.CONVERSATIONS_PATH,
      databaseUrl: config.DATABASE_URL,
      redisUrl: config.REDIS_URL
    }
  } catch (error) {
    return String(error)
  } finally {
    await app.close()
  }
}

function read (environment: Environment): object | string {
  try {
    return readSessionSettings(environment)
  } catch (error) {
    return String(error)
  }
}

t.test('the settings are read as the service reads them, the wrong ones refused in the same words', async t => {
  const text = fc.oneof(fc.constantFrom('always', 'never', 'maybe', '60', '0', '-1', '0.5', '0x10', '1e400', 'NaN', '1e3', '1000:1000', '0:0', '52560001', '1_000', 'x.csv', 'a/b.csv', 'csv', 'redis', 'postgres', 'postgres://u:p@h/d', 'rediss://h:1/0'), fc.string({ minLength: 1 }))
  const names = ['SESSION_STORE', 'DATABASE_URL', 'REDIS_URL', 'SESSIONS_CSV_PATH', 'SESSIONS_FSYNC', 'SESSION_TIMEOUT_MINUTES', 'CONVERSATIONS_PATH', 'RUN_AS']
  await fc.assert(fc.asyncProperty(fc.dictionary(fc.constantFrom(...names), text), async environment => {
    // What the service never sees: values are trimmed, and empty ones left out.
    fc.pre(Object.values(environment).every(value => value.trim() === value && value !== ''))
    t.same(read(environment), await readAsService(environment))
  }), { numRuns: 200 })
})

t.test('a wrong setting of another kind is no matter', async t => {
  t.match(readSessionSettings({ PORT: 'nonsense' }), { path: 'sessions.csv', conversationsPath: 'conversations.sqlite', fsync: 'always', timeoutMs: 3_600_000 })
})
