import t from 'tap'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { runSaverValidation } from '../../fixtures/run-saver-validation.ts'

t.test('LangGraph\'s own suite for checkpointers passes in Redis', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  await runSaverValidation(t, ['in Redis'], { TEST_REDIS_URL: server.addressOf(0) })
})
