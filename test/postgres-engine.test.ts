import t from 'tap'
import { PostgresPool } from '../src/postgres/pool.ts'
import { PostgresEngine } from '../src/postgres-engine.ts'
import { UNOBSERVED } from '../src/sessions/csv/observed-files.ts'
import { PostgresServer } from './fixtures/postgres.ts'
import { makeLog, makeSession } from './fixtures/sessions.ts'
import { startApp } from './fixtures/app.ts'

t.test('with a server', async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])

  t.test('replicas share sessions, counts and leads, and the time of the server', async t => {
    const url = await server.createDatabase()
    const logs = [makeLog(), makeLog()]
    const engines = await Promise.all(logs.map(async (log, index) => {
      const engine = await PostgresEngine.open({ url, poolSize: 3, now: () => Date.now() - index * 600_000, log })
      t.after(() => engine.close())
      return engine
    }))
    t.ok(engines.every(engine => Math.abs(engine.now() - Date.now()) < 60_000))
    t.same(logs.map(({ lines }) => lines.filter(line => line.includes('clock')).length), [0, 1], 'a clock that is wrong is told of')
    const stores = await Promise.all(engines.map(async (engine, index) => {
      const store = engine.createSessionStore({ timeoutMs: 60_000, now: engine.now, log: logs[index] ?? makeLog(), observer: UNOBSERVED })
      await store.open()
      t.after(() => store.close())
      return store
    }))
    await stores[0]?.create(makeSession({ lastActivityMs: engines[0]?.now() ?? 0 }))
    t.ok(await stores[1]?.get('s-1'))
    t.same(await Promise.all(engines.map(async engine => (await engine.count('person', 'a', 60_000)).count)).then(counts => counts.sort()), [1, 2])
    t.equal((await Promise.all(engines.map(async engine => await engine.lead('sweep', 60_000)))).filter(isLeading => isLeading).length, 1)
    for (const engine of engines) {
      await engine.close()
      await engine.close()
      await t.rejects(engine.count('person', 'a', 60_000), { code: 'STORE_UNAVAILABLE' })
    }
  })

  t.test('a replica that nobody asks for anything follows the clock of the server, once it is to sweep', async t => {
    const url = await server.createDatabase()
    const log = makeLog()
    const pool = new PostgresPool({ url, max: 1, log })
    t.after(() => pool.close())
    await pool.query(`CREATE SCHEMA shifted; CREATE TABLE shifted.by AS SELECT interval '0' AS step;
      CREATE FUNCTION shifted.clock_timestamp () RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_catalog.clock_timestamp() + (SELECT step FROM shifted.by)';
      DO 'BEGIN EXECUTE format($$ALTER DATABASE %I SET search_path = shifted, pg_catalog$$, current_database()); END'`)
    const engine = await PostgresEngine.open({ url, poolSize: 1, now: Date.now, log })
    t.after(() => engine.close())
    const readLead = () => Math.round((engine.now() - Date.now()) / 60_000)
    t.equal(readLead(), 0)
    await pool.query("UPDATE shifted.by SET step = interval '1 hour'")
    await engine.lead('sweep', 1000)
    t.equal(readLead(), 60)
  })

  t.test('a conversation goes on with whichever replica it comes to', async t => {
    const env = { SESSION_STORE: 'postgres', DATABASE_URL: await server.createDatabase() }
    const apps = [await startApp(t, { env }), await startApp(t, { env })]
    const said: unknown[] = []
    for (const [index, message] of ['my name is Ada', 'what is my name?'].entries()) {
      const response = await apps[index]?.app.inject({ method: 'POST', url: '/api/chat', payload: { user_id: '1', platform: 'telegram', message } })
      t.equal(response?.statusCode, 200)
      said.push(response?.json().session_id)
    }
    t.equal(new Set(said).size, 1)
    const health = await apps[0]?.app.inject('/health')
    t.match(health?.json(), { status: 'healthy', active_sessions: 1 })
  })
})
