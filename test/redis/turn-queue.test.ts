import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { EVENTS_CHANNEL } from '../../src/redis/turn-scripts.ts'
import { NO_REDIS } from '../fixtures/redis.ts'
import { isHeld, queueUp, startReplicas, writeUnder, type RedisReplica } from '../fixtures/redis-turns.ts'

/** What is told on the channel, from now on. */
async function listen (t: Test, { redis }: RedisReplica): Promise<string[]> {
  const topics: string[] = []
  const line = redis.client.duplicate({ lazyConnect: true })
  t.after(() => { line.disconnect() })
  await line.connect()
  await line.subscribe(EVENTS_CHANNEL)
  line.on('message', (_channel, topic) => { topics.push(topic) })
  return topics
}

t.test('one turn of a session runs at a time over all replicas, in the order in which they asked', { skip: NO_REDIS }, async t => {
  const [a, b, c] = await startReplicas(t)
  const sessionId = randomUUID()
  const order: number[] = []
  let running = 0
  let most = 0
  const turns: Array<Promise<void>> = []
  for (let index = 0; index < 30; index++) {
    const { entered } = await queueUp([a, b, c][index % 3] ?? a, sessionId)
    turns.push(entered.then(async turn => {
      most = Math.max(most, ++running)
      order.push(index)
      await a.redis.client.ping()
      running--
      await turn.release()
    }))
  }
  await Promise.all(turns)
  t.equal(most, 1)
  t.same(order, [...order.keys()])
  t.equal(await isHeld(a, sessionId), false)
  t.same(await a.redis.client.keys('*'), ['{holdline}:fence'], 'nothing is left')
})

t.test('turns of different sessions do not wait for each other', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t)
  const first = await a.queue.enter('one')
  const second = await b.queue.enter('two')
  t.not(first.lease.id, second.lease.id)
  await Promise.all([first.release(), second.release()])
})

t.test('entering and leaving take one round trip each, and tell nobody where nobody waits', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t)
  await (await a.queue.enter('warm')).release()
  const topics = await listen(t, b)
  const before = a.redis.commandCount
  const turn = await a.queue.enter('session')
  t.equal(a.redis.commandCount, before + 1)
  await turn.release()
  t.equal(a.redis.commandCount, before + 2)
  await turn.release()
  t.equal(a.redis.commandCount, before + 2, 'a second release does nothing')
  await b.redis.client.publish(EVENTS_CHANNEL, 'end')
  while (!topics.includes('end')) await b.redis.client.ping()
  t.same(topics, ['end'])
})

t.test('the turn brings the session as it is when the turn begins', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t)
  const first = await a.queue.enter('session')
  t.equal(first.row, undefined)
  const { entered } = await queueUp(b, 'session')
  await a.redis.client.hset('{holdline}:session:session', { user_id: 'telegram_1', metadata: '{"a":  1.0}', pending_approval: '' })
  await first.release()
  const second = await entered
  t.same(second.row, { user_id: 'telegram_1', metadata: '{"a":  1.0}', pending_approval: '' })
  await second.release()
})

t.test('those who wait are counted over all replicas; who is refused has no place and takes none', { skip: NO_REDIS }, async t => {
  const [a, b, c] = await startReplicas(t)
  const first = await a.queue.enter('session', { maxWaiting: 0 })
  const second = await queueUp(b, 'session')
  const third = await queueUp(c, 'session')
  let wasQueued = false
  const refused = a.queue.enter('session', { maxWaiting: 2, onQueued: () => { wasQueued = true } })
  await t.rejects(refused, { code: 'TURN_QUEUE_FULL', retryAfterSeconds: 5 })
  t.notOk(wasQueued)
  t.equal(await a.redis.client.llen('{holdline}:turns:session'), 3)
  await first.release()
  await (await second.entered).release()
  await (await third.entered).release()
  await t.resolves(a.queue.enter('session', { maxWaiting: 0 }).then(turn => turn.release()))
})

t.test('whoever leaves the queue is not waited for, wherever they stood', { skip: NO_REDIS }, async t => {
  const [a, b, c] = await startReplicas(t)
  const first = await a.queue.enter('session')
  const leave = new AbortController()
  const second = await queueUp(b, 'session', leave.signal)
  const third = await queueUp(c, 'session')
  leave.abort(new Error('left'))
  await t.rejects(second.entered, { message: 'left' })
  await first.release()
  await (await third.entered).release()
  await t.rejects(a.queue.enter('session', { signal: leave.signal }), { message: 'left' }, 'not even begun')
  // While the request for a place is on its way.
  const early = new AbortController()
  const asked = b.queue.enter('session', { signal: early.signal })
  early.abort(new Error('left early'))
  await t.rejects(asked, { message: 'left early' })
  await (await b.queue.enter('session')).release()
})

t.test('a session is held as long as a turn of it runs, or waits to', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t)
  t.equal(await isHeld(a, 'session'), false)
  const first = await a.queue.enter('session')
  t.equal(await isHeld(b, 'session'), true)
  const { entered } = await queueUp(b, 'session')
  await a.redis.client.del(`{holdline}:lease:${first.lease.id}`)
  t.equal(await isHeld(b, 'session'), true, 'the one who waits is next')
  await first.release()
  await (await entered).release()
  t.equal(await isHeld(a, 'session'), false)
  await a.redis.client.rpush('{holdline}:turns:session', randomUUID())
  t.equal(await isHeld(a, 'session'), false, 'the place of a lease that has ended')
})

t.test('a turn is ended from another replica, and whoever asked learns that this ended it', { skip: NO_REDIS }, async t => {
  const [a, b, c] = await startReplicas(t)
  const turn = await a.queue.enter('session')
  const next = await queueUp(a, 'session')
  const asked = Promise.all([b.queue.interrupt('session'), c.queue.interrupt('session')])
  await once(turn.lease.signal, 'abort')
  t.match(turn.lease.signal.reason, { code: 'TURN_CANCELLED' })
  turn.lease.check()
  await writeUnder(a, turn, 'its last words')
  await turn.release(true)
  t.same(await asked, [true, true])
  const second = await next.entered
  t.notOk(second.lease.signal.aborted, 'nobody asked for that')
  await second.release()
})

t.test('a turn that was asked to end before its replica knew that it has come is told so at once', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t)
  const first = await a.queue.enter('session')
  const { entered } = await queueUp(b, 'session')
  const [, waiting] = await a.redis.client.lrange('{holdline}:turns:session', 0, -1)
  await a.redis.client.hset(`{holdline}:lease:${waiting}`, 'cancel', '1')
  await first.release()
  const turn = await entered
  t.match(turn.lease.signal.reason, { code: 'TURN_CANCELLED' })
  turn.lease.check()
  await turn.release(true)
})

t.test('a turn that ended otherwise was not interrupted', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t)
  const turn = await a.queue.enter('session')
  const asked = b.queue.interrupt('session')
  await once(turn.lease.signal, 'abort')
  await turn.release()
  t.equal(await asked, false)
  t.equal(await b.queue.interrupt('session'), false, 'nothing runs')
  const own = await b.queue.enter('session')
  t.equal(await b.queue.interrupt('session'), false, 'its own')
  t.notOk(own.lease.signal.aborted)
  await own.release()
})

t.test('closing lets go of what waits, and loses what runs', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t)
  const running = await a.queue.enter('one')
  const other = await b.queue.enter('two')
  const { entered } = await queueUp(a, 'two')
  const asking = a.queue.interrupt('two')
  await once(other.lease.signal, 'abort')
  const unanswered = a.queue.enter('three')
  const refused = [entered, asking, unanswered].map(async (work: Promise<unknown>) => await t.rejects(work, { code: 'SERVICE_STOPPING' }))
  await Promise.all([...refused, a.queue.close()])
  await t.rejects(a.queue.enter('four'), { code: 'SERVICE_STOPPING' })
  t.same((await b.redis.client.keys('{holdline}:turns:*')).sort(), ['{holdline}:turns:one', '{holdline}:turns:two'])
  t.equal(await b.redis.client.llen('{holdline}:turns:two'), 1)
  t.throws(() => { running.lease.check() }, { code: 'TURN_TAKEN_OVER' })
  await running.release()
  await other.release()
  await a.queue.close()
})
