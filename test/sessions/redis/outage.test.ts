import t from 'tap'
import type { Session } from '../../../src/sessions/session.ts'
import { runUnderLease } from '../../../src/turn-lease.ts'
import { deriveIndexes, openReplica, readIndexes } from '../../fixtures/redis-sessions.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { makeClock, makeSession, START_MS } from '../../fixtures/sessions.ts'

const count = (session: Session): Session => ({ ...session, metadata: { n: Number(session.metadata.n ?? 0) + 1 } })

t.test('nothing that was acknowledged is lost when the server is killed', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { store, log } = await openReplica(t, server)
  const acknowledged = new Map<string, number>()
  let isKilled = false
  const write = async (sessionId: string): Promise<void> => {
    await store.create(makeSession({ sessionId }))
    for (;;) {
      const { metadata } = await store.update(sessionId, count)
      acknowledged.set(sessionId, Number(metadata.n))
      if (!isKilled && acknowledged.size === 20) {
        isKilled = true
        await server.stop('SIGKILL')
      }
    }
  }
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, async (_, number) => await write(`s-${number}`)))
  t.ok(outcomes.every(({ status }) => status === 'rejected'))
  t.match(outcomes[0], { reason: { code: 'STORE_UNAVAILABLE', retryAfterSeconds: 5 } })
  t.match(store.status(), { kind: 'redis', canSave: false, reason: /^Redis: / })
  const isBack = log.waitFor('Redis is there')
  await server.start()
  await isBack
  t.same(store.status(), { kind: 'redis', canSave: true })
  for (const [sessionId, n] of acknowledged) {
    const kept = Number((await store.get(sessionId))?.metadata.n)
    t.ok(kept === n || kept === n + 1, `${sessionId}: ${n} acknowledged, ${kept} kept`)
  }
  await store.update('s-1', count)
})

t.test('a change over a connection that breaks is made once', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { store } = await openReplica(t, server)
  const other = await openReplica(t, server)
  await store.create(makeSession())
  const over = new AbortController()
  const breakUp = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const ids = [...String(await other.connection.client.call('CLIENT', 'LIST')).matchAll(/^id=(\d+)/gm)].map(([, id]) => Number(id))
      const own = Number(await other.connection.client.call('CLIENT', 'ID'))
      for (const id of ids) if (id !== own) await other.connection.client.call('CLIENT', 'KILL', 'ID', id).catch(() => {})
      await new Promise(resolve => setTimeout(resolve, 15))
    }
  }
  const breaking = breakUp()
  const made: number[] = []
  for (let number = 0; number < 300; number++) {
    const add = (session: Session): Session => ({ ...session, metadata: { ...session.metadata, [`n${number}`]: Number(session.metadata[`n${number}`] ?? 0) + 1 } })
    await store.update('s-1', add).then(() => made.push(number), () => {})
  }
  over.abort()
  await breaking
  const kept = (await other.store.get('s-1'))?.metadata ?? {}
  t.ok(made.every(number => kept[`n${number}`] === 1))
  t.ok(Object.values(kept).every(times => times === 1), 'also of those that were refused, none was made twice')
  t.ok(made.length > 200, String(made.length))
})

t.test('a server that stands still fails changes in time, and says so', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { store, log } = await openReplica(t, server)
  await store.create(makeSession())
  server.pause()
  const startedMs = performance.now()
  await t.rejects(store.update('s-1', count), { code: 'STORE_UNAVAILABLE' })
  t.ok(performance.now() - startedMs < 20_000)
  t.equal(store.status().canSave, false)
  server.resume()
  if (!store.status().canSave) await log.waitFor('info: Redis')
  t.equal((await store.update('s-1', count)).metadata.n !== undefined, true)
})

t.test('a server whose memory is full refuses changes and serves reads', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { store, connection } = await openReplica(t, server)
  await store.create(makeSession())
  await connection.client.config('SET', 'maxmemory', '1')
  await t.rejects(store.update('s-1', count), { code: 'STORE_UNAVAILABLE' })
  await t.rejects(store.create(makeSession({ sessionId: 's-2' })), { code: 'STORE_UNAVAILABLE' })
  t.same(await store.get('s-1'), makeSession())
  t.match(store.status(), { canSave: false, reason: /memory is full/ })
  t.same(await readIndexes(connection.client), await deriveIndexes(connection.client))
  t.ok(await store.delete('s-1'), 'what makes room is taken')
})

t.test('of several replicas that start at once each expired session is reported by one', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const clock = makeClock()
  const first = await openReplica(t, server, { clock })
  await Promise.all(Array.from({ length: 350 }, async (_, number) => { await first.store.create(makeSession({ sessionId: `s-${number}` })) }))
  await first.store.create(makeSession({ sessionId: 'here', lastActivityMs: START_MS + 60_000, threadId: 't-s-1' }))
  clock.nowMs += 60_001
  const reports = await Promise.all([1, 2, 3].map(async () => (await openReplica(t, server, { clock })).report))
  t.equal(reports.reduce((sum, { expired }) => sum + expired, 0), 350)
  const threads = reports.flatMap(({ expiredThreads }) => expiredThreads)
  t.equal(new Set(threads).size, 349)
  t.equal(threads.length, 349, 'all but the one that a session still uses')
  t.same(reports.map(({ rejected }) => rejected), [0, 0, 0])
})

t.test('under a lock a change is one round trip; without, two', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { store, connection } = await openReplica(t, server)
  await store.create(makeSession())
  const trips = async (run: () => Promise<unknown>): Promise<number> => {
    const before = connection.commandCount
    await run()
    return connection.commandCount - before
  }
  const lock = await store.lock('s-1')
  await runUnderLease(lock.lease, async () => {
    t.equal(await trips(() => store.update('s-1', count)), 1)
    t.equal(await trips(() => store.update('s-1', count)), 1)
  })
  await lock.release()
  t.equal(await trips(() => store.update('s-1', count)), 2)
  t.equal(await trips(() => store.continueOrCreate('telegram_1', 'telegram', () => makeSession())), 1)
  t.equal(await trips(() => store.count()), 1)
  t.equal(await trips(() => store.list({ limit: 10 })), 2)
  t.equal(await trips(() => store.findOldestQuestion()), 1)
  t.equal((await store.get('s-1'))?.metadata.n, 3)
})

t.test('what is known of a session under a lock is not believed where it refuses a change, or needs none', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { store } = await openReplica(t, server)
  const other = await openReplica(t, server)
  await store.create(makeSession())
  const lock = await store.lock('s-1')
  await other.store.update('s-1', session => ({ ...session, pendingApproval: { a: 1 } }))
  const answer = (session: Session): Session => {
    if (session.pendingApproval === null) throw new Error('Nothing is asked')
    return { ...session, pendingApproval: null }
  }
  await store.update('s-1', answer)
  await other.store.update('s-1', count)
  const same = await store.update('s-1', session => session.metadata.n === undefined ? session : { ...session, metadata: { n: 'seen' } })
  t.equal(same.metadata.n, 'seen')
  await other.store.delete('s-1')
  await t.rejects(store.update('s-1', session => session), { code: 'SESSION_NOT_FOUND' })
  await lock.release()
})
