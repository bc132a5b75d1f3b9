import t from 'tap'
import { deriveIndexes, openReplica, readIndexes } from '../../fixtures/redis-sessions.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { makeClock, makeSession, START_MS } from '../../fixtures/sessions.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const TTL_MS = 2 * 60_000 + DAY_MS

t.test('what others do to the keys of sessions', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  let database = 0

  t.test('a hash that an operator removed is gone from every read at once, and from the counts after the next sweep', async t => {
    const { store, connection: { client }, log } = await openReplica(t, server, { database: database++ })
    for (const sessionId of ['a', 'b', 'c']) await store.create(makeSession({ sessionId, pendingApproval: { x: 1 } }))
    await client.del('{holdline}:session:b')
    t.equal(await store.get('b'), undefined)
    t.same((await store.findByUser('telegram_1')).map(({ sessionId }) => sessionId), ['c', 'a'])
    t.same(await store.findThreads(['t-b']), new Set())
    t.equal(await store.delete('b'), undefined)
    t.same(await store.removeSilentSince(START_MS - 1, 10), [])
    t.same(await store.count(), { count: 2, pendingApprovals: 2, byPlatform: { telegram: 2 } })
    t.same(await readIndexes(client), await deriveIndexes(client))
    t.match(log.lines, [/^warn: Something other than this service removed sessions/])
    await store.create(makeSession({ sessionId: 'b' }))
    t.equal((await store.count()).count, 3)
  })

  t.test('a page skips a hash that is gone, and drops it', async t => {
    const { store, connection: { client } } = await openReplica(t, server, { database: database++ })
    for (const sessionId of ['a', 'b', 'c']) await store.create(makeSession({ sessionId }))
    await client.del('{holdline}:session:b')
    t.same((await store.list({ limit: 2 })).sessions.map(({ sessionId }) => sessionId), ['a', 'c'])
    t.same(await client.zrange('{holdline}:sessions:activity', '0', '-1'), ['a', 'c'])
  })

  t.test('a start heals what was removed while nobody looked', async t => {
    const { store, connection } = await openReplica(t, server, { database })
    for (let number = 0; number < 30; number++) await store.create(makeSession({ sessionId: `s-${number}` }))
    for (let number = 0; number < 30; number += 2) await connection.client.del(`{holdline}:session:s-${number}`)
    const next = await openReplica(t, server, { database: database++ })
    t.equal((await next.store.count()).count, 15)
  })

  t.test('an index that is gone comes back with the next change of each session', async t => {
    const { store, connection: { client } } = await openReplica(t, server, { database: database++ })
    await store.create(makeSession({ pendingApproval: { x: 1 } }))
    const before = await readIndexes(client)
    await client.del(...await client.keys('{holdline}:sessions:*'))
    t.same(await store.findByUser('telegram_1'), [])
    await store.update('s-1', session => ({ ...session, metadata: { n: 1 } }))
    t.same(await readIndexes(client), before)
  })

  t.test('indexes that are gone, as a server takes them that may evict, are back after a start, and after a sweep', async t => {
    const { store, connection: { client }, log } = await openReplica(t, server, { database })
    for (const sessionId of ['a', 'b', 'c']) {
      await store.create(makeSession({ sessionId, pendingApproval: sessionId === 'b' ? { requested_at: '2025-11-22T20:00:00.000Z' } : null }))
    }
    const before = await readIndexes(client)
    const loseIndexes = async (): Promise<void> => { await client.del(...await client.keys('{holdline}:sessions:*')) }
    await loseIndexes()
    const next = await openReplica(t, server, { database: database++ })
    t.same(await readIndexes(client), before)
    t.match(next.log.lines[0], /^warn: Something other than this service removed indexes/)
    t.equal((await store.findLatest(['telegram_1'], 'telegram'))?.sessionId, 'c')
    for (const index of ['activity', 'platform:telegram', 'pending', 'pending:telegram', 'asked', 'platforms', 'user:telegram_1', 'thread:t-a']) {
      await client.del(`{holdline}:sessions:${index}`)
      await store.removeSilentSince(START_MS - 1, 10)
      t.same(await readIndexes(client), before, index)
    }
    const ttlMs = await client.pttl('{holdline}:sessions:user:telegram_1')
    t.ok(ttlMs > TTL_MS - 60_000 && ttlMs <= TTL_MS, 'what was made anew goes by itself, too')
    const lines = log.lines.length
    await store.removeSilentSince(START_MS - 1, 10)
    t.equal(log.lines.length, lines, 'where nothing is lost, nothing is said')
  })

  t.test('sessions that were written when they lived for a shorter time are kept for as long as they live now', async t => {
    const clock = makeClock(Date.now())
    const { store, connection: { client } } = await openReplica(t, server, { database, clock })
    await store.create(makeSession({ lastActivityMs: clock.nowMs }))
    await openReplica(t, server, { database: database++, clock, timeoutMs: 30 * DAY_MS })
    for (const key of ['{holdline}:session:s-1', '{holdline}:sessions:user:telegram_1', '{holdline}:sessions:thread:t-s-1']) {
      t.ok(await client.pttl(key) > 60 * DAY_MS, key)
    }
  })

  t.test('a hash that lost a field stops neither the sweep nor its person', async t => {
    const { store, clock, connection: { client } } = await openReplica(t, server, { database: database++ })
    const fields = ['user_id', 'platform', 'thread_id', 'created_at', 'last_activity', 'pending_approval', 'metadata', 'extra', 'asked_at', 'revision']
    for (const field of fields) {
      for (const sessionId of ['a', field, 'z']) await store.create(makeSession({ sessionId }))
      await client.hdel(`{holdline}:session:${field}`, field)
      await client.hset('{holdline}:session:z', 'last_activity', 'never')
      const { session } = await store.continueOrCreate('telegram_1', 'telegram', () => makeSession({ sessionId: 'new', lastActivityMs: START_MS + 1 }))
      t.equal((await store.findLatest(['telegram_1'], 'telegram'))?.sessionId, session.sessionId, `its person goes on without ${field}`)
      clock.nowMs += 60_002
      const removed = (await store.removeSilentSince(clock.nowMs - 60_000, 10)).map(({ sessionId }) => sessionId)
      t.ok(removed.includes('a'), `the sweep goes past a hash without ${field}`)
      t.equal((await store.count()).count, 0)
      clock.nowMs -= 60_002
      await client.flushdb()
    }
  })

  t.test('a hash that cannot be read is left out, named in the log, and costs no other session', async t => {
    const { store, connection: { client }, log } = await openReplica(t, server, { database: database++ })
    for (const sessionId of ['a', 'b', 'c']) await store.create(makeSession({ sessionId }))
    await client.hset('{holdline}:session:b', 'metadata', '[broken')
    t.same((await store.list({ limit: 5 })).sessions.map(({ sessionId }) => sessionId), ['a', 'c'])
    t.equal(await store.get('b'), undefined)
    t.match(log.lines[0], /^error: The hash of a session in Redis cannot be read/)
  })

  t.test('a session that nobody removes goes by itself, long after it has expired; activity puts that off', async t => {
    const { store, connection: { client } } = await openReplica(t, server, { database: database++ })
    await store.create(makeSession())
    const keys = ['{holdline}:session:s-1', '{holdline}:sessions:user:telegram_1', '{holdline}:sessions:thread:t-s-1']
    const areLong = async (): Promise<void> => {
      for (const key of keys) {
        const ttlMs = await client.pttl(key)
        t.ok(ttlMs <= TTL_MS && ttlMs > TTL_MS - 60_000, key)
      }
    }
    await areLong()
    for (const key of keys) await client.pexpire(key, 5000)
    await store.update('s-1', session => ({ ...session, lastActivityMs: START_MS + 1 }))
    await areLong()
    for (const key of keys) await client.pexpire(key, 0)
    t.equal(await store.get('s-1'), undefined)
    await store.removeSilentSince(START_MS - 1, 10)
    t.same(await readIndexes(client), {})
  })

  t.test('of sessions that have expired those whose turns are held are counted and listed, first; what a dead replica held is not', async t => {
    const { store, clock, connection: { client } } = await openReplica(t, server, { database: database++ })
    for (const sessionId of ['a', 'b', 'c', 'd']) await store.create(makeSession({ sessionId, pendingApproval: sessionId === 'b' ? { x: 1 } : null }))
    const locks = [await store.lock('d'), await store.lock('b')]
    await client.sadd('{holdline}:held', 'c', 'none')
    clock.nowMs += 60_001
    await store.create(makeSession({ sessionId: 'new', lastActivityMs: clock.nowMs }))
    t.same(await store.count(), { count: 3, pendingApprovals: 1, byPlatform: { telegram: 3 } })
    const first = await store.list({ limit: 1 })
    const rest = await store.list({ limit: 5, cursor: first.nextCursor ?? '' })
    t.same([...first.sessions, ...rest.sessions].map(({ sessionId }) => sessionId), ['b', 'd', 'new'])
    t.same((await store.list({ limit: 5, hasPendingApproval: false })).sessions.map(({ sessionId }) => sessionId), ['d', 'new'])
    t.same((await client.smembers('{holdline}:held')).sort(), ['b', 'd'])
    t.same((await store.removeSilentSince(clock.nowMs, 2)).map(({ sessionId }) => sessionId), ['a', 'c'])
    await Promise.all(locks.map(({ release }) => release()))
    t.equal((await store.count()).count, 1)
    t.equal(await client.exists('{holdline}:held'), 0)
  })

  t.test('what was written is kept to the byte until it changes', async t => {
    const { store, connection: { client } } = await openReplica(t, server, { database: database++ })
    await store.create(makeSession())
    await client.hset('{holdline}:session:s-1', 'metadata', '{"big":  12345678901234567890}', 'extra', '{"column": "x"}')
    await store.update('s-1', session => ({ ...session, lastActivityMs: START_MS + 1 }))
    t.same(await client.hmget('{holdline}:session:s-1', 'metadata', 'extra', 'revision'), ['{"big":  12345678901234567890}', '{"column": "x"}', '2'])
  })

  t.test('a session that no other store could keep is refused by the name of the column', async t => {
    const { store } = await openReplica(t, server, { database: database++ })
    for (const fields of [{ userId: 'a\0' }, { userId: '\ud800' }, { userId: ' ' }, { platform: 'Web' }, { threadId: 'a b' }, { sessionId: '' }, { lastActivityMs: 0.5 }]) {
      await t.rejects(store.create(makeSession(fields)), { code: 'REQUEST_INVALID', message: /user_id|platform|thread_id|session_id|last_activity/ })
    }
    t.equal((await store.count()).count, 0)
  })
})
