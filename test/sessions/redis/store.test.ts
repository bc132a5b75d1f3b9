import t from 'tap'
import { RedisConnection } from '../../../src/redis/client.ts'
import { UNOBSERVED } from '../../../src/sessions/csv/observed-files.ts'
import { RedisSessionStore } from '../../../src/sessions/redis/store.ts'
import { testSessionStore } from '../../contract/session-store.ts'
import { makeLog } from '../../fixtures/sessions.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { openTurns } from '../../fixtures/redis-sessions.ts'

t.test('a Redis store is a session store', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const log = makeLog()
  const connection = new RedisConnection({ url: server.addressOf(0), log })
  t.after(() => connection.close())
  await connection.open()
  const turns = await openTurns(t, connection)
  testSessionStore(t, async (_t, settings) => {
    await connection.client.flushdb()
    return () => new RedisSessionStore({ connection, turns, log, observer: UNOBSERVED, ...settings })
  })
})
