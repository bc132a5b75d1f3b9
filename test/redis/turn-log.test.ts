import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { Bell } from '../../src/bell.ts'
import { RedisTurnLog, type RedisTurnLogOptions } from '../../src/redis/turn-log.ts'
import type { EventName, TurnEvent } from '../../src/turn-events.ts'
import { NO_REDIS } from '../fixtures/redis.ts'
import { startReplicas, type RedisReplica } from '../fixtures/redis-turns.ts'

const SESSION = { sessionId: 'session', userId: 'telegram_1', platform: 'telegram' }

function makeEvent (position: number, name: EventName = 'token', data = `"${position}"`): TurnEvent {
  return { position, name, data }
}

function makeEvents (from: number, to: number): TurnEvent[] {
  return Array.from({ length: to - from + 1 }, (_, index) => makeEvent(from + index))
}

/** The logs of two replicas, and a turn that one of them runs. */
async function startLogs (t: Test, options: Partial<RedisTurnLogOptions> = {}) {
  const [a, b] = await startReplicas(t)
  const makeLog = ({ redis, events }: RedisReplica): RedisTurnLog => new RedisTurnLog({ redis, events, settleMs: 1, ...options })
  const turn = await a.queue.enter(SESSION.sessionId)
  return { here: makeLog(a), there: makeLog(b), redis: a.redis, turn, logged: { session: SESSION, clientId: 'bot', leaseId: turn.lease.id }, turnId: randomUUID() }
}

t.test('what one replica writes of a turn, another one reads, from any place on', { skip: NO_REDIS }, async t => {
  const { here, there, turn, logged, turnId } = await startLogs(t)
  t.equal(await there.read(turnId, 0), undefined, 'not known')
  await here.append(turnId, logged, [makeEvent(1, 'session'), makeEvent(2)])
  await here.append(turnId, logged, makeEvents(3, 5))
  const whose = { session: SESSION, clientId: 'bot' }
  t.same(await there.read(turnId, 0), { ...whose, isRunning: true, events: [makeEvent(1, 'session'), ...makeEvents(2, 5)] })
  t.same(await there.read(turnId, 3), { ...whose, isRunning: true, events: makeEvents(4, 5) })
  t.same(await there.read(turnId, 5), { ...whose, isRunning: true, events: [] })
  t.same(await there.read(turnId, 9), { ...whose, isRunning: true, events: [] })
  await here.append(turnId, logged, [makeEvent(6, 'message', '{"text":"ü\\u0000"}')])
  await turn.release()
  t.same(await there.read(turnId, 4), { ...whose, isRunning: false, events: [makeEvent(5), makeEvent(6, 'message', '{"text":"ü\\u0000"}')] })
})

t.test('a batch that is sent twice is there once', { skip: NO_REDIS }, async t => {
  const { here, there, logged, turnId } = await startLogs(t)
  await here.append(turnId, logged, [])
  for (const events of [makeEvents(1, 3), makeEvents(1, 3), makeEvents(2, 4), [makeEvent(5, 'message')], [makeEvent(5, 'message')]]) {
    await here.append(turnId, logged, events)
  }
  t.same((await there.read(turnId, 0))?.events, [...makeEvents(1, 4), makeEvent(5, 'message')])
})

t.test('of a turn with too many events the first ones are kept, and the last one at its place', { skip: NO_REDIS }, async t => {
  const { here, there, redis, logged, turnId } = await startLogs(t, { maxTurnBytes: 1_000 })
  await here.append(turnId, logged, makeEvents(1, 4))
  await here.append(turnId, logged, [...makeEvents(5, 20), makeEvent(21, 'token', '1')])
  await here.append(turnId, logged, [makeEvent(22, 'error')])
  const events = (await there.read(turnId, 0))?.events ?? []
  t.same(events, [...makeEvents(1, events.length - 1), makeEvent(22, 'error')])
  t.ok(events.length > 4 && events.length < 10, `${events.length} were kept`)
  t.same((await there.read(turnId, 15))?.events, [makeEvent(22, 'error')], 'to one who had read on elsewhere')
  t.same((await there.read(turnId, 22))?.events, [])
  t.equal(await redis.client.llen(`{holdline}:turn-events:${turnId}`), events.length)
})

t.test('after a batch that was lost, the last event alone is kept', { skip: NO_REDIS }, async t => {
  const { here, there, logged, turnId } = await startLogs(t)
  await here.append(turnId, logged, makeEvents(1, 2))
  await here.append(turnId, logged, makeEvents(4, 6))
  await here.append(turnId, logged, [makeEvent(7), makeEvent(8, 'message')])
  t.same((await there.read(turnId, 0))?.events, [...makeEvents(1, 2), makeEvent(8, 'message')])
})

t.test('a turn whose lease has gone has ended, once its last event had the time to arrive', { skip: NO_REDIS }, async t => {
  const { here, there, turn, logged, turnId } = await startLogs(t, { settleMs: 2_000 })
  await here.append(turnId, logged, makeEvents(1, 2))
  await turn.release()
  const reading = there.read(turnId, 0)
  await here.append(turnId, logged, [makeEvent(3, 'message')])
  t.same(await reading, { session: SESSION, clientId: 'bot', isRunning: false, events: [...makeEvents(1, 2), makeEvent(3, 'message')] })
})

t.test('whoever follows is told of each batch, and of nothing once they have left', { skip: NO_REDIS }, async t => {
  const { here, there, logged, turnId } = await startLogs(t, { pollMs: 100_000 })
  await here.append(turnId, logged, makeEvents(1, 2))
  const bell = new Bell()
  let count = 0
  const leave = there.follow(turnId, () => {
    count++
    bell.ring()
  })
  await there.read(turnId, 0)
  for (let position = 3; position < 6; position++) {
    await here.append(turnId, logged, [makeEvent(position)])
    await bell.hear(60_000)
    t.same((await there.read(turnId, position - 1))?.events, [makeEvent(position)])
  }
  leave()
  await here.append(turnId, logged, [makeEvent(6)])
  t.equal(count, 3)
})

t.test('nobody is told where nobody follows, and whoever follows looks now and then anyway', { skip: NO_REDIS }, async t => {
  const { here, there, logged, turnId } = await startLogs(t, { pollMs: 10 })
  const bell = new Bell()
  t.teardown(there.follow(turnId, bell.ring))
  await here.append(turnId, logged, makeEvents(1, 2))
  await bell.hear(60_000)
  t.same((await there.read(turnId, 0))?.events, makeEvents(1, 2))
})

t.test('events are there for some time after the last of them, and for as long as somebody follows a turn that runs', { skip: NO_REDIS }, async t => {
  const { here, there, redis, turn, logged, turnId } = await startLogs(t)
  await here.append(turnId, logged, makeEvents(1, 2))
  const keys = ['turn-log', 'turn-events'].map(name => `{holdline}:${name}:${turnId}`).concat('{holdline}:turn-logs:session')
  const read = async (): Promise<number[]> => await Promise.all(keys.map(async key => await redis.client.pttl(key)))
  for (const ms of await read()) t.ok(ms > 300_000 && ms <= 360_000)
  for (const key of keys) await redis.client.pexpire(key, 1_000)
  await there.read(turnId, 0)
  for (const ms of await read()) t.ok(ms > 300_000)
  await turn.release()
  for (const key of keys) await redis.client.pexpire(key, 1_000)
  await there.read(turnId, 0)
  for (const ms of await read()) t.ok(ms <= 1_000)
})

t.test('a session that is forgotten takes all of its turns along, and those of nobody else', { skip: NO_REDIS }, async t => {
  const { here, there, redis, turn, logged } = await startLogs(t)
  const [first, second, other] = [randomUUID(), randomUUID(), randomUUID()]
  await here.append(first, logged, makeEvents(1, 2))
  await here.append(second, logged, makeEvents(1, 2))
  await here.append(other, { ...logged, session: { ...SESSION, sessionId: 'other' } }, makeEvents(1, 1))
  await here.forget([])
  await here.forget(['session', 'unknown'])
  t.same([await there.read(first, 0), await there.read(second, 0)], [undefined, undefined])
  t.same((await there.read(other, 0))?.events, makeEvents(1, 1))
  await turn.release()
  await here.forget(['other'])
  t.same(await redis.client.keys('*'), ['{holdline}:fence'], 'nothing is left')
})

t.test('turns whose events are gone are not remembered by their session', { skip: NO_REDIS }, async t => {
  const { here, redis, logged } = await startLogs(t)
  const [first, second] = [randomUUID(), randomUUID()]
  await here.append(first, logged, makeEvents(1, 2))
  await redis.client.del(`{holdline}:turn-log:${first}`, `{holdline}:turn-events:${first}`)
  await here.append(second, logged, makeEvents(1, 2))
  t.same(await redis.client.smembers('{holdline}:turn-logs:session'), [second])
})
