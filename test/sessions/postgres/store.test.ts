import t, { type Test } from 'tap'
import type { PostgresPool } from '../../../src/postgres/pool.ts'
import type { Session } from '../../../src/sessions/session.ts'
import { runUnderLease } from '../../../src/turn-lease.ts'
import { testSessionStore } from '../../contract/session-store.ts'
import { PostgresReplica } from '../../fixtures/postgres-replica.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'
import { makeClock, makeSession, START_MS } from '../../fixtures/sessions.ts'

const TIMEOUT_MS = 60_000

t.test('with a server', async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])

  const setUp = async (t: Test) => {
    const url = await server.createDatabase()
    const clock = makeClock()
    const settings = { timeoutMs: TIMEOUT_MS, now: clock.now }
    const join = async () => {
      const replica = await PostgresReplica.open(t, url)
      return { replica, store: replica.makeStore(settings) }
    }
    const { replica, store } = await join()
    await store.open()
    return { url, clock, settings, join, replica, store, pool: replica.pool }
  }
  const countQueries = async (pool: PostgresPool, run: () => Promise<unknown>): Promise<number> => {
    const before = pool.queryCount
    await run()
    return pool.queryCount - before
  }
  const touch = (session: Session): Session => ({ ...session, lastActivityMs: session.lastActivityMs + 1 })

  t.test('a store on Postgres is a session store', async t => {
    const replica = await PostgresReplica.open(t, await server.createDatabase())
    testSessionStore(t, async (_, settings) => {
      await replica.pool.query('TRUNCATE holdline.sessions, holdline.turns')
      return () => replica.makeStore(settings)
    })
  })

  t.test('what a turn needs costs one query each', async t => {
    const { store, pool } = await setUp(t)
    const create = (): Session => makeSession()
    t.equal(await countQueries(pool, () => store.continueOrCreate('telegram_1', 'telegram', create)), 2, 'a session that is made')
    t.equal(await countQueries(pool, () => store.continueOrCreate('telegram_1', 'telegram', create)), 1, 'one that is there')
    t.equal(await countQueries(pool, () => store.findLatest(['a', 'telegram_1'], 'telegram')), 1)
    t.equal(await countQueries(pool, () => store.get('s-1')), 1)
    const { lease, release } = await store.lock('s-1')
    await runUnderLease(lease, async () => {
      t.equal(await countQueries(pool, () => store.update('s-1', touch)), 1)
      t.equal(await countQueries(pool, () => store.update('s-1', touch)), 1)
      await pool.query('UPDATE holdline.sessions SET revision = revision + 1')
      t.equal(await countQueries(pool, () => store.update('s-1', touch)), 3, 'unless somebody else has changed the session')
      t.equal(await countQueries(pool, () => store.update('s-1', touch)), 1)
      t.equal(await countQueries(pool, () => store.delete('s-1')), 1)
    })
    await release()
  })

  t.test('JSON that a change leaves alone stays as it was written, to the byte', async t => {
    const { store, pool } = await setUp(t)
    const [pending, metadata, extra] = ['{ "id":9007199254740993, "\\u0000": "\\ud800" }', '{"a":  1.0,"a":2,"__proto__":{"x":1}}', '{"note" : "=1+1"}']
    await store.create(makeSession())
    await pool.query('UPDATE holdline.sessions SET pending_approval = $1, metadata = $2, extra = $3, asked_at = now()', [pending, metadata, extra])
    const read = async () => await pool.query('SELECT pending_approval::text, metadata::text, extra::text FROM holdline.sessions')
    t.same((await store.update('s-1', touch)).extra, { note: '=1+1' })
    t.same(await read(), [{ pending_approval: pending, metadata, extra }])
    await store.update('s-1', session => ({ ...session, metadata: { text: 'a\u0000b\ud800' } }))
    t.same(await read(), [{ pending_approval: pending, metadata: '{"text":"a\\u0000b\\ud800"}', extra }])
    t.same((await store.get('s-1'))?.metadata, { text: 'a\u0000b\ud800' })
  })

  t.test('what a column cannot keep is refused by its name, and is found nowhere', async t => {
    const { store } = await setUp(t)
    for (const [name, fields] of Object.entries({
      session_id: { sessionId: 'a\0' },
      user_id: { userId: 'a\0' },
      platform: { platform: '\0' },
      thread_id: { threadId: '\0' },
      last_activity: { lastActivityMs: 0.5 },
      created_at: { createdAtMs: 9e15 },
      note: { extra: { note: 'a\0' } }
    })) {
      await t.rejects(store.create(makeSession({ sessionId: 's-2', ...fields })), { code: 'REQUEST_INVALID', message: new RegExp(name) })
    }
    await t.rejects(store.create(makeSession({ userId: '\ud800' })), { code: 'REQUEST_INVALID', message: /user_id/ })
    t.equal(await store.get('a\0'), undefined)
    t.same(await store.findByUser('\ud800'), [])
    t.equal(await store.findLatest(['a\0'], 'telegram'), undefined)
    t.same(await store.findThreads(['a\0']), new Set())
    const cursor = Buffer.from(JSON.stringify([1e300, 'a\0'])).toString('base64url')
    t.same((await store.list({ limit: 1, cursor })).sessions, [])
    t.equal((await store.count()).count, 0)
  })

  t.test('changes of one session by two replicas lose nothing', async t => {
    const { store, join } = await setUp(t)
    const other = (await join()).store
    await other.open()
    await store.create(makeSession({ metadata: { n: 0 } }))
    const increment = (session: Session): Session => ({ ...session, metadata: { n: Number(session.metadata.n) + 1 } })
    await Promise.all(Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? store : other).update('s-1', increment)))
    t.same((await other.get('s-1'))?.metadata, { n: 40 })
  })

  t.test('of messages of a new person that come to two replicas at once one makes the session', async t => {
    const { store, join } = await setUp(t)
    const other = (await join()).store
    await other.open()
    for (let round = 0; round < 10; round++) {
      const userId = `telegram_${round}`
      const found = await Promise.all([store, other, store, other].map((store, index) =>
        store.continueOrCreate(userId, 'telegram', () => makeSession({ userId, sessionId: `s-${round}-${index}` }))))
      t.equal(found.filter(({ isNew }) => isNew).length, 1)
      t.equal(new Set(found.map(({ session }) => session.sessionId)).size, 1)
    }
    t.equal((await other.count()).count, 10)
  })

  t.test('what has expired is removed, and reported, once: by those that start, and by those that sweep', async t => {
    const { store, clock, join } = await setUp(t)
    const others = [(await join()).store, (await join()).store]
    for (let index = 0; index < 50; index++) await store.create(makeSession({ sessionId: `s-${index}`, lastActivityMs: START_MS + index }))
    clock.nowMs += 3 * TIMEOUT_MS
    const removing = store.removeSilentSince(START_MS + 20, 1000)
    const reports = await Promise.all(others.map(other => other.open()))
    const swept = await removing
    const rest = await store.removeSilentSince(clock.nowMs - TIMEOUT_MS, 1000)
    t.equal(reports.reduce((sum, { expired }) => sum + expired, 0) + swept.length + rest.length, 50)
    const threads = [...reports.flatMap(({ expiredThreads }) => expiredThreads), ...[...swept, ...rest].map(({ threadId }) => threadId)]
    t.equal(new Set(threads).size, 50)
  })

  t.test('a session that somebody asks for at this moment is not silent', async t => {
    const { store, pool, join, clock } = await setUp(t)
    const other = (await join()).replica
    await store.create(makeSession())
    clock.nowMs += 2 * TIMEOUT_MS
    await pool.transaction(async client => {
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', ['s-1'])
      t.same(await store.removeSilentSince(clock.nowMs, 100), [])
    })
    const turn = await other.turns.enter('s-1')
    t.same(await store.removeSilentSince(clock.nowMs, 100), [])
    t.ok(await store.get('s-1'), 'nor is one whose turn runs elsewhere')
    await turn.release()
    t.equal((await store.removeSilentSince(clock.nowMs, 100)).length, 1)
  })

  t.test('a database that stops refuses changes, and takes them again when it is back', async t => {
    const { store, replica } = await setUp(t)
    await replica.pool.open()
    await store.create(makeSession())
    await server.stop()
    while (store.status().canSave) await store.get('s-1').catch(() => {})
    t.match(store.status(), { kind: 'postgres', canSave: false, reason: String })
    await t.rejects(store.update('s-1', touch), { code: 'STORE_UNAVAILABLE', retryAfterSeconds: 5 })
    await t.rejects(store.get('s-1'), { code: 'STORE_UNAVAILABLE' })
    await server.start()
    await replica.log.waitFor('Postgres keeps changes again')
    t.same(store.status(), { kind: 'postgres', canSave: true })
    t.equal((await store.update('s-1', touch)).lastActivityMs, START_MS + 1)
  })

  t.test('a start on a server that keeps no changes says why', async t => {
    const { replica: { pool }, url, settings } = await setUp(t)
    await pool.query(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = on`)
    const next = await PostgresReplica.open(t, url)
    await t.rejects(next.makeStore(settings).open(), { code: 'STORE_UNREACHABLE', message: /DATABASE_URL cannot be used: it is read-only$/ })
  })

  t.test('an option that makes no sense is refused, saying what came', async t => {
    const { replica } = await setUp(t)
    t.throws(() => replica.makeStore({ timeoutMs: -1, now: () => 0 }), { message: 'timeoutMs must be a positive integer, received -1' })
  })
})
