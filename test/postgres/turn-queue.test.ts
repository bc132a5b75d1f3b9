import t, { type Test } from 'tap'
import { makeGate } from '../fixtures/gate.ts'
import { NO_PGBOUNCER, PgBouncer } from '../fixtures/pgbouncer.ts'
import { PostgresServer } from '../fixtures/postgres.ts'
import { createTurnTables, TurnReplica, type ReplicaOptions } from '../fixtures/turn-replica.ts'

/** Longer than the test: what happens does so for another reason than that a lease ended. */
const LONG_MS = 100_000

const server = await PostgresServer.start(t)
const address = await server.createDatabase()
await createTurnTables(address)

t.test('replicas that hear each other', async t => {
  // Nobody ever polls.
  await testTurns(t, address, { ttlMs: LONG_MS, pollMs: LONG_MS })
})

t.test('replicas behind PgBouncer in transaction mode', { skip: NO_PGBOUNCER }, async t => {
  const bouncer = await PgBouncer.start(t, server)
  await testTurns(t, bouncer.addressOf(address), { ttlMs: LONG_MS })
})
// The server keeps the process alive: without this, each would wait for the other to end.
t.end()

async function testTurns (t: Test, url: string, options: ReplicaOptions): Promise<void> {
  const start = async (t: Test): Promise<TurnReplica> => await TurnReplica.start(t, url, options)

  /** Resolves when it has its place; the turn is yet to come. */
  const ask = async (replica: TurnReplica, sessionId: string, options: { maxWaiting?: number, signal?: AbortSignal } = {}) => {
    const { opened: queued, open: onQueued } = makeGate()
    const turn = replica.queue.enter(sessionId, { ...options, onQueued })
    await Promise.race([queued, turn])
    return { turn }
  }

  t.test('turns of a session come one at a time over all replicas, in the order in which they were asked for', async t => {
    const replicas = await Promise.all([start(t), start(t), start(t)])
    const done: number[] = []
    let running = 0
    const all: Array<Promise<void>> = []
    for (const [number, replica] of [...replicas, ...replicas, ...replicas, ...replicas].entries()) {
      const { turn } = await ask(replica, 'order')
      all.push(turn.then(async ({ release }) => {
        t.equal(++running, 1)
        await replica.pool.query('SELECT 1')
        running--
        done.push(number)
        await release()
      }))
    }
    await Promise.all(all)
    t.same(done, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  t.test('of replicas that ask at the same moment one has the turn, and the others after it', async t => {
    const replicas = await Promise.all([start(t), start(t), start(t), start(t)])
    let running = 0
    let most = 0
    for (let round = 0; round < 10; round++) {
      await Promise.all(replicas.map(async ({ queue, pool }) => {
        const { release } = await queue.enter(`moment-${round}`)
        most = Math.max(most, ++running)
        await pool.query('SELECT 1')
        running--
        await release()
      }))
    }
    t.equal(most, 1)
  })

  t.test('turns that one replica asks for at once come in the order in which it did', async t => {
    const replica = await start(t)
    const done: number[] = []
    await Promise.all(Array.from({ length: 10 }, async (_, number) => {
      const { release } = await replica.queue.enter('at once')
      done.push(number)
      await release()
    }))
    t.same(done, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  t.test('turns of different sessions do not wait for each other', async t => {
    const [one, two] = await Promise.all([start(t), start(t)])
    const held = await Promise.all([one.queue.enter('a'), one.queue.enter('b'), two.queue.enter('c')])
    t.equal(new Set(held.map(({ lease }) => lease.id)).size, 3)
    for (const { release } of held) await release()
  })

  t.test('those who wait are counted over all replicas', async t => {
    const [one, two] = await Promise.all([start(t), start(t)])
    const first = await one.queue.enter('full', { maxWaiting: 0 })
    await t.rejects(two.queue.enter('full', { maxWaiting: 0 }), { code: 'TURN_QUEUE_FULL', retryAfterSeconds: 5 })
    const second = await ask(two, 'full', { maxWaiting: 1 })
    await t.rejects(one.queue.enter('full', { maxWaiting: 1 }), { code: 'TURN_QUEUE_FULL' })
    await first.release()
    await (await second.turn).release()
    await (await one.queue.enter('full', { maxWaiting: 0 })).release()
  })

  t.test('who is refused a place leaves nothing behind', async t => {
    const replica = await start(t)
    const first = await replica.queue.enter('refused')
    await t.rejects(replica.queue.enter('refused', { maxWaiting: 0 }))
    await first.release()
    t.same(await replica.pool.query('SELECT 1 FROM holdline.turns WHERE session_id = $1', ['refused']), [])
  })

  t.test('who leaves the queue is told why, counts no longer, and holds nobody up', async t => {
    const [one, two] = await Promise.all([start(t), start(t)])
    const first = await one.queue.enter('leave')
    const controller = new AbortController()
    const second = await ask(two, 'leave', { signal: controller.signal })
    const third = await ask(one, 'leave')
    controller.abort(new Error('gone home'))
    await t.rejects(second.turn, { message: 'gone home' })
    await first.release()
    await (await third.turn).release()
    await t.rejects(two.queue.enter('leave', { signal: controller.signal }), { message: 'gone home' })
    await (await two.queue.enter('leave', { maxWaiting: 0 })).release()
  })

  t.test('who leaves when their turn has just come hands it on', async t => {
    const [one, two] = await Promise.all([start(t), start(t)])
    const first = await one.queue.enter('hand on')
    const controller = new AbortController()
    const second = await ask(two, 'hand on', { signal: controller.signal })
    const third = await ask(one, 'hand on')
    const released = first.release()
    controller.abort(new Error('gone home'))
    await t.rejects(second.turn, { message: 'gone home' })
    await released
    await (await third.turn).release()
  })

  t.test('a turn that nobody holds is entered in one round trip, with the session as it is then, and released in one', async t => {
    const replica = await start(t)
    await replica.pool.query(`INSERT INTO holdline.sessions (session_id, user_id, platform, thread_id, created_at, last_activity, metadata)
      VALUES ($1, 'api_1', 'api', 't-1', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', '{"a":  1.0}') ON CONFLICT DO NOTHING`, ['row'])
    const before = replica.pool.queryCount
    const { row, release } = await replica.queue.enter('row')
    t.equal(replica.pool.queryCount - before, 1)
    t.match(row, { session_id: 'row', created_at_ms: '1767225600000', pending_approval: null, metadata: '{"a":  1.0}', revision: 1 })
    await release()
    t.equal(replica.pool.queryCount - before, 2)
    await release()
    t.equal(replica.pool.queryCount - before, 2, 'a second release does nothing')
  })

  t.test('who waited is given the session as the turn before left it, and none if there is none', async t => {
    const [one, two] = await Promise.all([start(t), start(t)])
    const first = await one.queue.enter('fresh')
    t.equal(first.row, undefined)
    const second = await ask(two, 'fresh')
    await one.pool.query(`INSERT INTO holdline.sessions (session_id, user_id, platform, thread_id, created_at, last_activity)
      VALUES ('fresh', 'api_1', 'api', 't-1', now(), now())`)
    await first.release()
    const { row, release } = await second.turn
    t.match(row, { session_id: 'fresh' })
    await release()
    await one.pool.query('DELETE FROM holdline.sessions')
  })

  t.test('a turn that another replica runs is asked to end, and whoever asked is told when it has', async t => {
    const [one, two, three] = await Promise.all([start(t), start(t), start(t)])
    const { lease, release } = await one.queue.enter('interrupt')
    const next = await ask(two, 'interrupt')
    const aborted = new Promise<unknown>(resolve => { lease.signal.addEventListener('abort', () => { resolve(lease.signal.reason) }) })
    const asked = [two.queue.interrupt('interrupt'), three.queue.interrupt('interrupt')]
    t.match(await aborted, { code: 'TURN_CANCELLED' })
    lease.check()
    await release(true)
    t.same(await Promise.all(asked), [true, true])
    const { lease: unharmed, release: end } = await next.turn
    t.notOk(unharmed.signal.aborted, 'those who wait go on')
    await end()
  })

  t.test('a turn that ends otherwise than by being asked to was not interrupted', async t => {
    const [one, two] = await Promise.all([start(t), start(t)])
    const { lease, release } = await one.queue.enter('too late')
    const aborted = new Promise<void>(resolve => { lease.signal.addEventListener('abort', () => { resolve() }) })
    const asked = two.queue.interrupt('too late')
    await aborted
    await release()
    t.equal(await asked, false)
  })

  t.test('nothing is interrupted where no other replica runs a turn', async t => {
    const [one, two] = await Promise.all([start(t), start(t)])
    t.equal(await one.queue.interrupt('nobody'), false)
    const { lease, release } = await one.queue.enter('nobody')
    t.equal(await one.queue.interrupt('nobody'), false, 'its own is its own affair')
    t.notOk(lease.signal.aborted)
    await release()
    t.equal(await two.queue.interrupt('nobody'), false)
  })

  t.test('a replica that stops leaves where it waits, loses what runs, and takes no more', async t => {
    const [one, two] = await Promise.all([start(t), start(t)])
    const { lease, release } = await one.queue.enter('stop')
    const waiting = await ask(one, 'stop')
    const next = await ask(two, 'stop')
    const refused = t.rejects(waiting.turn, { code: 'SERVICE_STOPPING' })
    const unanswered = one.queue.enter('unanswered')
    await Promise.all([one.queue.close(), one.queue.close(), refused, t.rejects(unanswered, { code: 'SERVICE_STOPPING' })])
    t.throws(() => { lease.check() }, { code: 'TURN_TAKEN_OVER' })
    await t.rejects(one.queue.enter('stop'), { code: 'SERVICE_STOPPING' })
    const tickets = await two.pool.query("SELECT 1 FROM holdline.turns WHERE session_id = 'stop'")
    t.equal(tickets.length, 2, 'what runs may be in the middle of something')
    await release()
    await (await next.turn).release()
    t.same(await two.pool.query("SELECT session_id FROM holdline.turns WHERE session_id IN ('stop', 'unanswered')"), [])
  })
}
