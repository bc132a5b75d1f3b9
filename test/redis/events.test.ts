import t, { type Test } from 'tap'
import { Bell } from '../../src/bell.ts'
import { RedisConnection } from '../../src/redis/client.ts'
import { RedisEvents } from '../../src/redis/events.ts'
import { EVENTS_CHANNEL } from '../../src/redis/turn-scripts.ts'
import { RecordingLog } from '../fixtures/recording-log.ts'
import { NO_REDIS, RedisServer } from '../fixtures/redis.ts'

/** Longer than any test takes: what comes earlier came by itself. */
const LONG_MS = 60_000

async function startEvents (t: Test, server: RedisServer): Promise<{ redis: RedisConnection, events: RedisEvents, log: RecordingLog }> {
  const log = new RecordingLog()
  const redis = new RedisConnection({ url: server.addressOf(0), log })
  const events = new RedisEvents({ redis, log })
  t.after(async () => {
    await events.close()
    await redis.close()
  })
  await redis.open()
  await events.start()
  return { redis, events, log }
}

/** Who follows a topic, and how often they were woken. */
class Follower {
  count = 0
  readonly bell = new Bell()
  readonly wake = (): void => {
    this.count++
    this.bell.ring()
  }

  async woken (): Promise<void> {
    await this.bell.hear(LONG_MS)
  }
}

t.test('each news of a topic wakes those who follow it, on all replicas, and nobody else', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { redis, events } = await startEvents(t, server)
  const { events: others } = await startEvents(t, server)
  const [here, there, elsewhere] = [new Follower(), new Follower(), new Follower()]
  events.subscribe('a', here.wake)
  others.subscribe('a', there.wake)
  events.subscribe('b', elsewhere.wake)
  await redis.client.publish(EVENTS_CHANNEL, 'a')
  await Promise.all([here.woken(), there.woken()])
  t.same([here.count, there.count, elsewhere.count], [1, 1, 0])
})

t.test('whoever has left is woken no more, and takes nobody along who follows the same', { skip: NO_REDIS }, async t => {
  const { redis, events } = await startEvents(t, await RedisServer.start(t))
  const [first, second] = [new Follower(), new Follower()]
  const leave = events.subscribe('a', first.wake)
  events.subscribe('a', second.wake)
  leave()
  leave()
  await redis.client.publish(EVENTS_CHANNEL, 'a')
  await second.woken()
  t.same([first.count, second.count], [0, 1])
})

t.test('a line that was lost is polled for, and comes back by itself', { skip: NO_REDIS }, async t => {
  const { redis, events, log } = await startEvents(t, await RedisServer.start(t))
  const follower = new Follower()
  events.subscribe('a', follower.wake)
  const [lost, back] = [log.next('the line for news between replicas was lost'), log.next('news between replicas come again')]
  await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await lost
  // Nobody tells anything: it is polled, and once it is told that the line is back.
  await follower.woken()
  await back
  const { count } = follower
  await redis.client.publish(EVENTS_CHANNEL, 'a')
  while (follower.count === count) await follower.woken()
  t.pass('news come again')
})

t.test('a server that is away is polled for until it is there again', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { events, log } = await startEvents(t, server)
  const follower = new Follower()
  events.subscribe('a', follower.wake)
  const [lost, back] = [log.next('the line for news between replicas was lost'), log.next('news between replicas come again')]
  await server.stop('SIGKILL')
  await lost
  await follower.woken()
  await server.start()
  await back
  t.pass('the line is back')
})

t.test('a line on which nothing comes back is given up for a new one', { skip: NO_REDIS }, async t => {
  const { redis, events, log } = await startEvents(t, await RedisServer.start(t))
  const follower = new Follower()
  events.subscribe('a', follower.wake)
  const [lost, back] = [log.next('the line for news between replicas was lost'), log.next('news between replicas come again')]
  // Everybody's commands stand still for this long, pings included.
  await redis.client.call('CLIENT', 'PAUSE', '4000', 'ALL')
  await lost
  await follower.woken()
  await back
  t.pass('the line is back')
})

t.test('events that start without a server poll until there is one', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  await server.stop()
  const log = new RecordingLog()
  const redis = new RedisConnection({ url: server.addressOf(0), log })
  const events = new RedisEvents({ redis, log })
  t.after(async () => {
    await events.close()
    await redis.close()
  })
  await events.start()
  const follower = new Follower()
  events.subscribe('a', follower.wake)
  await follower.woken()
  await server.start()
  await redis.open()
  while (await countListeners(redis) === 0) await follower.woken()
  t.pass('the line is there')
})

t.test('a user who may use no channels is told so, and polls', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const admin = await startEvents(t, server)
  await admin.redis.client.call('ACL', 'SETUSER', 'plain', 'on', '>secret', '~*', '+@all', 'resetchannels')
  const log = new RecordingLog()
  const redis = new RedisConnection({ url: `redis://plain:secret@127.0.0.1:${server.port}/0`, log })
  const events = new RedisEvents({ redis, log })
  t.after(async () => {
    await events.close()
    await redis.close()
  })
  await redis.open()
  await events.start()
  const follower = new Follower()
  events.subscribe('a', follower.wake)
  await follower.woken()
  t.match(log.lines, [/warn: Redis: news between replicas do not come/])
})

async function countListeners ({ client }: RedisConnection): Promise<number> {
  const reply = await client.call('PUBSUB', 'NUMSUB', EVENTS_CHANNEL)
  return Array.isArray(reply) ? Number(reply[1]) : 0
}
