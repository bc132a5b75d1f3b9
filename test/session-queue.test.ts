import t from 'tap'
import { SessionQueues } from '../src/session-queue.ts'
import type { LockOptions } from '../src/sessions/store.ts'
import { TurnLocks } from '../src/sessions/turn-lock.ts'

function makeQueues () {
  const locks = new TurnLocks()
  const lock = async (sessionId: string, options?: LockOptions) => {
    const { release } = await locks.lock(sessionId, options)
    return { session: undefined, lease: undefined, release: async () => { release() } }
  }
  const store = { lock }
  const queues = new SessionQueues(store)
  const entered: string[] = []
  const enter = async (name: string, sessionId: string): Promise<string> => {
    const place = await queues.enter(sessionId)
    const { sessionId: at } = place
    entered.push(name)
    // Others could enter meanwhile.
    await new Promise(resolve => setImmediate(resolve))
    await place.release()
    return at
  }
  return { locks, queues, entered, enter }
}

t.test('a queue that moves on twice keeps everybody in the order in which they came, and leaves nothing behind', async t => {
  const { locks, queues, entered, enter } = makeQueues()
  const first = await queues.enter('one')
  const all = [enter('a', 'one')]
  await first.moveTo('two')
  all.push(enter('b', 'two'), enter('c', 'two'))
  await first.moveTo('three')
  all.push(enter('d', 'three'), enter('e', 'one'))
  await first.release()
  t.same(await Promise.all(all), ['three', 'three', 'three', 'three', 'three'])
  t.same(entered, ['a', 'e', 'b', 'c', 'd'])
  t.same([...locks.held()], [], 'nothing is held')
})

t.test('a queue that moves back to where it was does not wait for itself', async t => {
  const { locks, queues, enter } = makeQueues()
  const place = await queues.enter('one')
  await place.moveTo('two')
  await place.moveTo('one')
  const next = enter('a', 'one')
  const other = enter('b', 'two')
  await place.release()
  t.equal(await next, 'one')
  t.equal(await other, 'one')
  t.same([...locks.held()], [])
})

t.test('a session that ended is found for as long as others wait for it', async t => {
  const { queues, enter } = makeQueues()
  const place = await queues.enter('one')
  place.announceEnd('ann')
  const next = enter('a', 'one')
  await place.release()
  t.same(queues.findEnded('ann'), { sessionId: 'one', hasMoved: false })
  await next
  t.equal(queues.findEnded('ann'), undefined)
})

t.test('who leaves the queue counts no longer', async t => {
  const { locks, queues } = makeQueues()
  const place = await queues.enter('one')
  const leave = new AbortController()
  const waiting = queues.enter('one', { signal: leave.signal })
  leave.abort(new Error('Gone'))
  await t.rejects(waiting, { message: 'Gone' })
  await t.rejects(queues.enter('one', { maxWaiting: 0 }), { code: 'TURN_QUEUE_FULL' })
  await place.moveTo('two')
  await place.release()
  t.same([...locks.held()], [])
})
