import t from 'tap'
import { TurnLocks } from '../../src/sessions/turn-lock.ts'

t.test('a key is held until it is released, and a second release changes nothing', async (t) => {
  const locks = new TurnLocks()
  t.equal(locks.isHeld('a'), false)
  const first = await locks.lock('a')
  t.equal(locks.isHeld('a'), true)
  t.equal(locks.isHeld('b'), false)
  const second = locks.lock('a')
  first.release()
  first.release()
  const third = locks.lock('a')
  const held = await second
  t.equal(locks.isHeld('a'), true)
  held.release()
  const last = await third
  last.release()
  t.equal(locks.isHeld('a'), false)
})

t.test('waiters enter in the order in which they came, one at a time', async (t) => {
  const locks = new TurnLocks()
  const events: string[] = []
  await Promise.all(['a', 'b', 'c'].map(async (name) => {
    const lock = await locks.lock('key')
    events.push(`${name} in`)
    await Promise.resolve()
    events.push(`${name} out`)
    lock.release()
  }))
  t.same(events, ['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
})

t.test('different keys do not wait for each other', async (t) => {
  const locks = new TurnLocks()
  await locks.lock('a')
  t.ok(await locks.lock('b'))
})

t.test('a full queue refuses with the time after which a retry makes sense', async (t) => {
  const locks = new TurnLocks()
  const held = await locks.lock('a', { maxWaiting: 1 })
  const waiting = locks.lock('a', { maxWaiting: 1 })
  await t.rejects(locks.lock('a', { maxWaiting: 1 }), { code: 'TURN_QUEUE_FULL', retryAfterSeconds: 5 })
  held.release()
  t.ok(await waiting)
})

t.test('an aborted waiter leaves the queue with the reason, and the next in line enters', async (t) => {
  const locks = new TurnLocks()
  const held = await locks.lock('a')
  const controller = new AbortController()
  const aborted = locks.lock('a', { signal: controller.signal })
  const next = locks.lock('a', { maxWaiting: 2 })
  const reason = new Error('gone')
  controller.abort(reason)
  await t.rejects(aborted, reason)
  held.release()
  const lock = await next
  lock.release()
  t.equal(locks.isHeld('a'), false)
})

t.test('a signal that is aborted already never enters, and one that aborts later takes nothing away', async (t) => {
  const locks = new TurnLocks()
  await t.rejects(locks.lock('a', { signal: AbortSignal.abort(new Error('gone')) }), { message: 'gone' })
  t.equal(locks.isHeld('a'), false)
  const controller = new AbortController()
  const first = await locks.lock('a')
  const second = locks.lock('a', { signal: controller.signal })
  first.release()
  const held = await second
  controller.abort()
  t.equal(locks.isHeld('a'), true)
  held.release()
  t.equal(locks.isHeld('a'), false)
})
