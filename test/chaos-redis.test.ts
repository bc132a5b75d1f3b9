import { Redis } from 'ioredis'
import t from 'tap'
import { runChaos } from './fixtures/chaos.ts'
import { NO_REDIS, RedisServer } from './fixtures/redis.ts'

t.test('two replicas on Redis, killed, paused and cut off, one with a wrong clock: turns are linear, nothing acknowledged is lost', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  await runChaos(t, {
    env: { SESSION_STORE: 'redis', REDIS_URL: server.addressOf(0) },
    count: 2,
    durationMs: 45_000,
    faults: {
      'all connections are terminated': async () => {
        const client = new Redis(server.addressOf(0))
        await client.call('CLIENT', 'KILL', 'SKIPME', 'yes')
        client.disconnect()
      },
      'the server is killed and started again': async () => {
        await server.stop('SIGKILL')
        await server.start()
      }
    }
  })
})
