import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { killWhen, makeHouse, migrate, readSorted } from './fixtures/house.ts'
import { PostgresServer } from './fixtures/postgres.ts'
import { NO_REDIS, RedisServer } from './fixtures/redis.ts'
import { Service } from './fixtures/service.ts'
import { runTool } from './fixtures/tool.ts'

t.test('from file to Redis, from there to Postgres, and back to a file: the same', { skip: NO_REDIS }, async t => {
  const dir = await makeHouse(t, 3000, 100)
  const [postgres, server] = [await PostgresServer.start(t), await RedisServer.start(t)]
  const url = await postgres.createDatabase()
  const redis = server.addressOf(0)
  const client = new Redis(redis)
  t.after(() => { client.disconnect() })
  await killWhen(dir, ['--from', 'csv', '--to', redis], async () => await client.zcard('{holdline}:sessions:activity') > 0)
  const service = Service.launch(t, dir, { SESSION_STORE: 'redis', REDIS_URL: redis })
  t.match(await service.exit, { code: 1, stderr: /is not finished/ })
  t.match(await migrate(dir, 'csv', redis), { code: 0, stdout: /, resumed\n/, stderr: '' })
  // As the settings name them: the conversations are where they are, not where DATABASE_URL says.
  const words = ['migrate', '--from', 'redis', '--to', 'postgres', '--json']
  const { code, stdout } = await runTool(dir, words, { REDIS_URL: redis, DATABASE_URL: url })
  t.equal(code, 0)
  const target = { threads: 100, notes: { count: 1 } }
  t.match(JSON.parse(stdout), { is_verified: true, sessions: { target: { count: 3000 } }, conversations: { target } })
  t.equal((await migrate(dir, url, 'csv:new/sessions.csv')).code, 0)
  t.same(readSorted(join(dir, 'new/sessions.csv')), readSorted(join(dir, 'sessions.csv')))
})
