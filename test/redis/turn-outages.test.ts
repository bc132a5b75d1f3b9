import { once } from 'node:events'
import t from 'tap'
import { NO_REDIS } from '../fixtures/redis.ts'
import { isHeld, QUICK, queueUp, startReplicas, writeUnder } from '../fixtures/redis-turns.ts'

/** Replicas that soon give up. */
const HASTY = { ...QUICK, commandTimeoutMs: 2_000 }

/** Leases that outlive whatever happens here, of replicas that look now and then. */
const PATIENT = { ttlMs: 20_000, renewMs: 200 }

t.test('news that were lost cost a moment, and no turn', { skip: NO_REDIS }, async t => {
  const [a, b, c] = await startReplicas(t, PATIENT)
  const first = await a.queue.enter('session')
  const second = await queueUp(b, 'session')
  const third = await queueUp(c, 'session')
  await a.redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await first.release()
  const turn = await second.entered
  await a.redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  const asked = a.queue.interrupt('session')
  await once(turn.lease.signal, 'abort')
  await a.redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await turn.release(true)
  t.equal(await asked, true)
  await (await third.entered).release()
})

t.test('connections that are cut cost no place and no turn', { skip: NO_REDIS }, async t => {
  const [a, b, c] = await startReplicas(t, PATIENT)
  const first = await a.queue.enter('session')
  const second = await queueUp(b, 'session')
  const asked = Array.from({ length: 20 }, (_, index) => c.queue.enter(`session-${index}`))
  const killed = a.redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => {})
  const others = Array.from({ length: 20 }, (_, index) => c.queue.enter(`other-${index}`))
  await killed
  for (const turn of await Promise.all([...asked, ...others])) await turn.release()
  first.lease.check()
  await first.release()
  const turn = await second.entered
  await writeUnder(b, turn, 'x')
  await turn.release()
  t.same((await a.redis.client.keys('*')).sort(), ['{holdline}:fence', '{holdline}:written'])
})

t.test('a server that stands still for less than a lease delays turns, and ends none', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t, PATIENT)
  const first = await a.queue.enter('session')
  const second = await queueUp(b, 'session')
  await a.redis.client.call('CLIENT', 'PAUSE', '1500', 'ALL')
  await first.release()
  const turn = await second.entered
  t.notOk(first.lease.signal.aborted)
  await writeUnder(b, turn, 'x')
  await turn.release()
})

t.test('turns live through a server that is killed and started again while their leases are good', { skip: NO_REDIS }, async t => {
  const [a, b, c, server] = await startReplicas(t, PATIENT)
  const first = await a.queue.enter('session')
  const second = await queueUp(b, 'session')
  const third = await queueUp(c, 'session')
  await server.stop('SIGKILL')
  await server.start()
  await writeUnder(a, first, 'x')
  first.lease.check()
  await first.release()
  const turn = await second.entered
  await turn.release()
  await (await third.entered).release()
  t.equal(await isHeld(a, 'session'), false)
})

t.test('a turn whose lease ends while the server is away is lost here before it is there', { skip: NO_REDIS }, async t => {
  const [a, b, , server] = await startReplicas(t, HASTY)
  const turn = await a.queue.enter('session')
  const { entered } = await queueUp(b, 'session')
  await server.stop('SIGKILL')
  // The lease's own timer keeps no process alive.
  const life = setInterval(() => {}, 60_000)
  await once(turn.lease.signal, 'abort')
  clearInterval(life)
  t.match(turn.lease.signal.reason, { code: 'TURN_TAKEN_OVER' })
  t.throws(() => { turn.lease.check() }, { code: 'TURN_TAKEN_OVER' })
  await t.rejects(entered, { code: 'STORE_UNAVAILABLE' })
  const isBack = b.log.next('Redis is there')
  await server.start()
  await t.rejects(writeUnder(a, turn, 'late'), /HL001/)
  await turn.release()
  await isBack
  await (await b.queue.enter('session')).release()
})

t.test('a release that fails is made up for when the server is back, long before the lease ends', { skip: NO_REDIS }, async t => {
  const [a, b, , server] = await startReplicas(t, PATIENT)
  const turn = await a.queue.enter('session')
  const { entered } = await queueUp(b, 'session')
  await server.stop('SIGKILL')
  const released = turn.release()
  await server.start()
  await released
  await (await entered).release()
  t.equal(await isHeld(b, 'session'), false)
})

t.test('a release that nobody hears never rejects, and is given up when the lease has ended', { skip: NO_REDIS }, async t => {
  const [a, , , server] = await startReplicas(t, HASTY)
  const turn = await a.queue.enter('session')
  await server.stop('SIGKILL')
  const life = setInterval(() => {}, 60_000)
  await t.resolves(turn.release())
  clearInterval(life)
  await t.rejects(a.queue.enter('session'), { code: 'STORE_UNAVAILABLE', retryAfterSeconds: 5 })
  await t.rejects(a.queue.interrupt('session'), { code: 'STORE_UNAVAILABLE', retryAfterSeconds: 5 })
})

t.test('whoever interrupts a turn waits on while the server is away for a moment', { skip: NO_REDIS }, async t => {
  const [a, b, , server] = await startReplicas(t, PATIENT)
  const turn = await a.queue.enter('session')
  const asked = b.queue.interrupt('session')
  await once(turn.lease.signal, 'abort')
  await server.stop('SIGKILL')
  await server.start()
  await turn.release(true)
  t.equal(await asked, true)
})
