import { once } from 'node:events'
import { test } from 'tap'
import { HeldLease } from '../src/held-lease.ts'

const ID = '5f0c9a3e-8f38-4f0e-9a8e-0d5b5d2f6a11'
const LOST = { code: 'TURN_TAKEN_OVER', retryAfterSeconds: 5 }

test('a lease is good until shortly before the engine may give it away, counted from when it was asked for', async t => {
  let now = 5_000
  const lease = new HeldLease({ id: ID, ttlMs: 10_000, askedAtMs: 4_000, monotonic: () => now })
  t.teardown(() => { lease.settle() })
  now = 13_499
  lease.check()
  now = 13_500
  t.throws(() => { lease.check() }, LOST)
  t.match(lease.signal.reason, LOST)
})

test('a renewal counts from when it was sent, and one that was sent earlier takes nothing back', async t => {
  let now = 0
  const lease = new HeldLease({ id: ID, ttlMs: 10_000, askedAtMs: 0, monotonic: () => now })
  t.teardown(() => { lease.settle() })
  now = 9_000
  lease.renew(6_000)
  lease.renew(3_000)
  now = 15_499
  lease.check()
  now = 15_500
  t.throws(() => { lease.check() }, LOST)
})

test('a lease that was lost stays lost', async t => {
  const lease = new HeldLease({ id: ID, ttlMs: 10_000, askedAtMs: 0, monotonic: () => 0 })
  lease.lose()
  lease.renew(0)
  t.throws(() => { lease.check() }, LOST)
})

test('a turn that is asked to end may still write', async t => {
  const lease = new HeldLease({ id: ID, ttlMs: 10_000, askedAtMs: 0, monotonic: () => 0 })
  t.teardown(() => { lease.settle() })
  lease.cancel()
  t.match(lease.signal.reason, { code: 'TURN_CANCELLED' })
  lease.check()
  lease.lose()
  t.throws(() => { lease.check() }, LOST)
})

test('a lease that nobody renews ends by itself, without anybody asking', async t => {
  const lease = new HeldLease({ id: ID, ttlMs: 40, askedAtMs: performance.now() })
  // The lease's own timer keeps no process alive.
  const alive = setTimeout(() => {}, 10_000)
  await once(lease.signal, 'abort')
  clearTimeout(alive)
  t.match(lease.signal.reason, LOST)
})

test('a lease that is renewed lives on', async t => {
  const lease = new HeldLease({ id: ID, ttlMs: 40, askedAtMs: performance.now() })
  lease.renew(performance.now() + 100_000)
  await new Promise(resolve => setTimeout(resolve, 60))
  lease.check()
  t.notOk(lease.signal.aborted)
  lease.settle()
})
