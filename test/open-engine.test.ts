import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import type { OpenEngineOptions } from '../src/open-engine.ts'
import { openEngine } from '../src/open-engine.ts'
import { makeFolder } from './fixtures/folder.ts'
import { makeLog } from './fixtures/sessions.ts'

const CONFIG: OpenEngineOptions['config'] = { SESSION_STORE: 'csv', SESSIONS_CSV_PATH: 'sessions.csv', SESSIONS_FSYNC: 'never', DATABASE_POOL_SIZE: 2 }

t.test('a service that keeps files never loads what a server is reached with', async t => {
  await import('../src/app.ts')
  const engine = await openEngine({ config: { ...CONFIG, SESSIONS_CSV_PATH: join(makeFolder(t), 'sessions.csv') }, now: Date.now, log: makeLog() })
  t.equal(engine.kind, 'csv')
  await engine.close()
  const loaded = Object.keys(createRequire(import.meta.url).cache)
  t.ok(loaded.length > 0)
  t.same(loaded.filter(path => /node_modules\/(pg|ioredis|@langchain\/langgraph-checkpoint-postgres)\//.test(path)), [])
})

t.test('Postgres without its address is refused, naming the setting', async t => {
  const opened = openEngine({ config: { ...CONFIG, SESSION_STORE: 'postgres' }, now: Date.now, log: makeLog() })
  await t.rejects(opened, { code: 'SETTING_INVALID', message: /^DATABASE_URL must be a URL .* received nothing; SESSION_STORE=postgres needs it$/ })
})
