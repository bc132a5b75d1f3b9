import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { isLeaseLost } from '../../src/redis/errors.ts'
import { NO_REDIS } from '../fixtures/redis.ts'
import { isHeld, QUICK, queueUp, startHolder, startReplicas, writeUnder } from '../fixtures/redis-turns.ts'

t.test('a turn that runs for longer than a lease is renewed, and so are those who wait for it', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t, QUICK)
  const first = await a.queue.enter('session')
  const { entered } = await queueUp(b, 'session')
  await wait(2 * QUICK.ttlMs)
  first.lease.check()
  t.notOk(first.lease.signal.aborted)
  t.ok(await isHeld(a, 'session'))
  await writeUnder(a, first, 'x')
  await first.release()
  const second = await entered
  second.lease.check()
  await second.release()
})

t.test('the clock is set by the server\'s with each renewal, turns or not', { skip: NO_REDIS }, async t => {
  const [a] = await startReplicas(t, QUICK)
  a.redis.clock.sync(1_000, performance.now())
  while (a.redis.clock.now() < 1_000_000) await a.redis.client.ping()
  t.ok(Math.abs(a.redis.clock.now() - Date.now()) < 1_000)
})

t.test('a lease that the server lost is lost here with the next renewal', { skip: NO_REDIS }, async t => {
  const [a] = await startReplicas(t, QUICK)
  const turn = await a.queue.enter('session')
  const lost = once(turn.lease.signal, 'abort')
  await a.redis.client.del(`{holdline}:lease:${turn.lease.id}`)
  await lost
  t.match(turn.lease.signal.reason, { code: 'TURN_TAKEN_OVER' })
  t.throws(() => { turn.lease.check() }, { code: 'TURN_TAKEN_OVER' })
  t.ok(isLeaseLost(await writeUnder(a, turn, 'late').catch((error: unknown) => error)))
  await turn.release()
})

t.test('a place that the server lost ends the wait', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t, QUICK)
  const first = await a.queue.enter('session')
  const { entered } = await queueUp(b, 'session')
  const [, waiting] = await a.redis.client.lrange('{holdline}:turns:session', 0, -1)
  await a.redis.client.del(`{holdline}:lease:${waiting}`)
  await t.rejects(entered, { code: 'STORE_UNAVAILABLE', retryAfterSeconds: 5 })
  await first.release()
})

t.test('a queue that the server lost ends the waits in it', { skip: NO_REDIS }, async t => {
  const [a, b] = await startReplicas(t, QUICK)
  const first = await a.queue.enter('session')
  const { entered } = await queueUp(b, 'session')
  await a.redis.client.del('{holdline}:turns:session')
  await t.rejects(entered, { code: 'STORE_UNAVAILABLE', retryAfterSeconds: 5 })
  await first.release()
  await (await b.queue.enter('session')).release()
})

t.test('the turns of a replica that dies are over when its leases end', { skip: NO_REDIS }, async t => {
  const [a, b, , server] = await startReplicas(t, QUICK)
  const { program, leaseId } = await startHolder(t, server, 'session', QUICK)
  const { entered } = await queueUp(a, 'session')
  program.kill()
  await program.exit
  t.equal(await a.redis.client.exists(`{holdline}:lease:${leaseId}`), 1)
  const turn = await entered
  t.equal(await a.redis.client.exists(`{holdline}:lease:${leaseId}`), 0)
  await writeUnder(b, turn, 'the next')
  await turn.release()
})

t.test('a replica that was stopped finds at its first look that its lease is lost, and cannot write', { skip: NO_REDIS }, async t => {
  const [a, , , server] = await startReplicas(t, QUICK)
  const { program, pid } = await startHolder(t, server, 'session', QUICK)
  t.equal(await program.ask('check'), 'good')
  t.equal(await program.ask('write'), 'written')
  process.kill(pid, 'SIGSTOP')
  const turn = await a.queue.enter('session')
  program.say('check')
  process.kill(pid, 'SIGCONT')
  t.equal(JSON.parse(await program.hear() ?? ''), 'TURN_TAKEN_OVER')
  t.match(await program.ask('write'), /HL001/)
  await turn.release()
})

t.test('whoever interrupts a replica that is dead waits no longer than its lease lives', { skip: NO_REDIS }, async t => {
  const [a, , , server] = await startReplicas(t, QUICK)
  const { program } = await startHolder(t, server, 'session', QUICK)
  program.kill()
  await program.exit
  t.equal(await a.queue.interrupt('session'), false)
  t.equal(await isHeld(a, 'session'), false)
})

t.test('a process whose queue, events and connection are closed ends by itself', { skip: NO_REDIS }, async t => {
  const [a, , , server] = await startReplicas(t)
  const { program } = await startHolder(t, server, 'session', { ttlMs: 60_000 })
  t.equal(await program.ask('close'), 'closed')
  t.same(await program.exit, { code: 0, signal: null, stderr: '' })
  t.ok(await isHeld(a, 'session'), 'what ran may be in the middle of something')
})
