import t, { type Test } from 'tap'
import { openEngine } from '../src/open-engine.ts'
import type { Engine } from '../src/engine.ts'
import { UNOBSERVED } from '../src/sessions/csv/observed-files.ts'
import type { SessionStore } from '../src/sessions/store.ts'
import { runUnderLease } from '../src/turn-lease.ts'
import { startApp } from './fixtures/app.ts'
import { makeCheckpoint } from './fixtures/plain-checkpoint.ts'
import { PostgresServer } from './fixtures/postgres.ts'
import { NO_REDIS, RedisServer } from './fixtures/redis.ts'
import { makeLog, type KeptLog } from './fixtures/sessions.ts'

const files = { SESSIONS_CSV_PATH: 'unused.csv', SESSIONS_FSYNC: 'always', DATABASE_POOL_SIZE: 4 } as const

async function openFences (t: Test, url: string) {
  const { PostgresPool } = await import('../src/postgres/pool.ts')
  const { PostgresTurnFences } = await import('../src/postgres/turn-fences.ts')
  const pool = new PostgresPool({ url, max: 3, log: makeLog() })
  t.after(() => pool.close())
  return { pool, fences: new PostgresTurnFences(pool) }
}

t.test('REDIS_URL is missed by its name', async t => {
  const opened = openEngine({ config: { ...files, SESSION_STORE: 'redis' }, now: Date.now, log: makeLog() })
  await t.rejects(opened, { code: 'SETTING_INVALID', message: /^REDIS_URL must be .* SESSION_STORE=redis needs it$/ })
})

t.test('two services on one Redis share sessions and conversations, and go on where one ended', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const env = { SESSION_STORE: 'redis', REDIS_URL: server.addressOf(0) }
  const logged: Record<string, unknown>[] = []
  const one = await startApp(t, { env, logged })
  const other = await startApp(t, { env })
  const first = await one.say('remember the number 7')
  t.equal(first.status, 200)
  const second = await other.say('and now?')
  t.equal(second.status, 200)
  t.equal(second.body.session_id, first.body.session_id)
  const { body } = await one.get(`/api/sessions/${first.body.session_id}?user_id=ann`)
  t.ok(body)
  const messages = await one.get(`/api/sessions/${first.body.session_id}/messages?user_id=ann`)
  t.equal(messages.body.messages?.filter(({ role }) => role === 'user').length, 2)
  t.match((await other.get('/health')).status, 200)
  t.ok(logged.some(({ msg }) => msg === 'Sessions are kept in Redis, conversations in Redis, too'))
  t.notOk(logged.some(({ level }) => Number(level) > 30))
})

t.test('conversations beside Redis are kept in the Postgres of DATABASE_URL', { skip: NO_REDIS }, async t => {
  const redis = await RedisServer.start(t)
  const postgres = await PostgresServer.start(t)
  const databaseUrl = await postgres.createDatabase()
  const env = { SESSION_STORE: 'redis', REDIS_URL: redis.addressOf(0), DATABASE_URL: databaseUrl }

  t.test('a service says where, and answers', async t => {
    const logged: Record<string, unknown>[] = []
    const app = await startApp(t, { env, logged })
    t.equal((await app.say('hello')).status, 200)
    t.equal((await app.say('again')).status, 200)
    t.ok(logged.some(({ msg }) => msg === 'Sessions are kept in Redis, conversations in the Postgres of DATABASE_URL'))
    t.notOk(logged.some(({ level }) => Number(level) > 30))
  })

  const open = async (): Promise<{ engine: Engine, store: SessionStore, log: KeptLog }> => {
    const log = makeLog()
    const config = { ...files, SESSION_STORE: 'redis', REDIS_URL: redis.addressOf(1), DATABASE_URL: databaseUrl } as const
    const engine = await openEngine({ config, now: Date.now, log })
    const store = engine.createSessionStore({ timeoutMs: 60_000, now: engine.now, log, observer: UNOBSERVED })
    await store.open()
    t.after(async () => {
      await store.close()
      await engine.close()
    })
    return { engine, store, log }
  }

  t.test('a turn that lost its lease in Redis can write nothing to Postgres once its successor has begun', async t => {
    const [one, other] = [await open(), await open()]
    const saver = (await one.engine.openConversations({ now: one.engine.now, log: one.log })).checkpointer
    const others = (await other.engine.openConversations({ now: other.engine.now, log: other.log })).checkpointer
    const put = async (by: typeof saver, id: string): Promise<unknown> => await by.put(...makeCheckpoint('thread', id))
    const lost = await one.store.lock('s-1')
    await runUnderLease(lost.lease, () => put(saver, 'a'))
    // As if it had been paused for longer than its lease is good: Redis forgot it, and it knows nothing of that.
    await redis.forget(1, `{holdline}:lease:${lost.lease?.id}`)
    const successor = await other.store.lock('s-1')
    await t.rejects(runUnderLease(lost.lease, () => put(saver, 'late')), { code: 'TURN_TAKEN_OVER' })
    await runUnderLease(successor.lease, () => put(others, 'b'))
    t.equal((await others.getTuple({ configurable: { thread_id: 'thread' } }))?.checkpoint.id, 'b')
    await Promise.all([lost.release(), successor.release()])
  })

  t.test('one that comes late, after its successor, is not taken', async t => {
    const { pool, fences } = await openFences(t, databaseUrl)
    const [early, late] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002']
    t.equal(await fences.take('s-9', late, '1795725682993520'), true)
    t.equal(await fences.take('s-9', late, '1795725682993520'), true, 'asked twice, it stays')
    t.equal(await fences.take('s-9', early, '1795725682993519'), false)
    t.equal(await fences.take('s-8', early, '1795725682993519'), true, 'another session has leases of its own')
    const rows = await pool.query<{ lease: string }>("SELECT lease FROM holdline.turn_fences WHERE session_id IN ('s-8', 's-9') ORDER BY session_id")
    t.same(rows.map(({ lease }) => lease), [early, late])
  })

  t.test('what is left of its turns is none to a service that keeps its sessions in the database, nor to a move there', async t => {
    const { engine, store, log } = await open()
    const { release } = await store.lock('s-moved')
    await release()
    await store.close()
    await engine.close()
    const { PostgresPool } = await import('../src/postgres/pool.ts')
    const pool = new PostgresPool({ url: databaseUrl, max: 2, log })
    t.after(() => pool.close())
    t.same(await pool.query('SELECT session_id FROM holdline.held'), [])
    t.same(await pool.query('SELECT session_id FROM holdline.turns'), [])
  })

  t.test('a lease is taken once what is being written under the one before has ended', async t => {
    const { pool, fences } = await openFences(t, databaseUrl)
    const [early, late] = ['00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000004']
    await fences.take('s-10', early, '1')
    let hasEnded = false
    let taking: Promise<boolean> | undefined
    await pool.transaction(async client => {
      await client.query('SELECT holdline.check_lease($1)', [early])
      taking = fences.take('s-10', late, '2').finally(() => { t.ok(hasEnded) })
      const waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%take_turn%'"
      while ((await pool.query(waits)).length === 0);
      hasEnded = true
    })
    t.equal(await taking, true)
    await t.rejects(pool.query('SELECT holdline.check_lease($1)', [early]), { code: 'HL001' })
  })
})
