import t, { type Test } from 'tap'
import { PostgresPool, type PostgresPoolOptions } from '../../src/postgres/pool.ts'
import { NO_PGBOUNCER, PgBouncer } from '../fixtures/pgbouncer.ts'
import { PostgresServer } from '../fixtures/postgres.ts'
import { makeLog } from '../fixtures/sessions.ts'

const SHORT = { connectMs: 5000, statementMs: 300, lockMs: 5000, idleInTransactionMs: 5000 }

function makePool (t: Test, options: Partial<PostgresPoolOptions> & { readonly url: string }) {
  const log = makeLog()
  const pool = new PostgresPool({ max: 3, log, retryMs: 20, ...options })
  t.after(() => pool.close())
  return { pool, log }
}

t.test('with a server', async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])
  const url = await server.createDatabase()

  t.test('a statement takes values and answers with rows; each is counted', async t => {
    const { pool } = makePool(t, { url })
    await pool.open()
    t.same(await pool.query('SELECT $1::text AS text, $2::int AS number', ['x', 5]), [{ text: 'x', number: 5 }])
    t.equal(pool.queryCount, 2)
    t.same(pool.status(), { canSave: true })
  })

  t.test('a transaction takes effect as a whole, or not at all', async t => {
    const { pool } = makePool(t, { url })
    await pool.query('CREATE TABLE marks (n int)')
    t.equal(await pool.transaction(async client => {
      await client.query('INSERT INTO marks VALUES (1)')
      return 'done'
    }), 'done')
    await t.rejects(pool.transaction(async client => {
      await client.query('INSERT INTO marks VALUES (2)')
      throw new Error('no')
    }), { message: 'no' })
    await t.rejects(pool.transaction(async client => {
      await client.query('INSERT INTO marks VALUES (3)')
      await t.rejects(client.query('SELECT 1 / 0'))
    }), /failed in a transaction/)
    t.same(await pool.query('SELECT n FROM marks'), [{ n: 1 }])
    t.equal(pool.pool.totalCount, 1, 'the connection is as good as before')
  })

  t.test('a statement ends at its limit, and one that fails costs no connection', async t => {
    const { pool } = makePool(t, { url, timeouts: SHORT })
    await t.rejects(pool.query('SELECT pg_sleep(60)'), { code: '57014' })
    await t.rejects(pool.query('SELECT 1 / 0'), { code: '22012' })
    t.equal(pool.pool.totalCount, 1)
  })

  t.test('connections that are ended, in use or not, end nothing else', async t => {
    const { pool, log } = makePool(t, { url })
    const others = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()'
    const running = [pool.query('SELECT pg_sleep(60)'), pool.transaction(async client => { await client.query('SELECT pg_sleep(60)') })]
    const ended = Promise.all(running.map(async one => { await t.rejects(async () => { await one }) }))
    for (;;) {
      const [found] = await pool.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()")
      if (found?.n === 2) break
    }
    await pool.query(others)
    await ended
    t.equal(pool.pool.totalCount, 1)
    const second = makePool(t, { url })
    await second.pool.query(others)
    await log.waitFor('not in use broke: it is stopping or starting')
    t.same(await pool.query('SELECT 1 AS one'), [{ one: 1 }])
    t.same(pool.status(), { canSave: true })
  })

  t.test('a server that starts beside the service is waited for, which is said once', async t => {
    await server.stop()
    const { pool, log } = makePool(t, { url })
    const opened = pool.open()
    await log.waitFor('does not answer yet')
    await server.start()
    await opened
    t.same(log.lines, ['warn: Postgres does not answer yet: nothing listens at its address; waiting up to 30 s for it'])
  })

  t.test('a server that stops keeps no changes, which is said once; one that starts again is found without being asked for', async t => {
    const { pool, log } = makePool(t, { url })
    await pool.open()
    await server.stop()
    await t.rejects(pool.query('SELECT 1'))
    await t.rejects(pool.query('SELECT 1'))
    t.same(pool.status(), { canSave: false, reason: 'Postgres: nothing listens at its address' })
    await server.start()
    await log.waitFor('Postgres keeps changes again')
    t.same(pool.status(), { canSave: true })
    t.equal(log.lines.filter(line => line.startsWith('error: Postgres keeps no changes: nothing listens')).length, 1)
  })

  t.test('a server that takes no changes is told from one that does', async t => {
    const { pool, log } = makePool(t, { url })
    await pool.open()
    await pool.query('CREATE TABLE changes (n int)')
    const turn = async (setting: string): Promise<void> => {
      await pool.query(`ALTER SYSTEM SET default_transaction_read_only = ${setting}`)
      await pool.query('SELECT pg_reload_conf()')
      for (;;) if ((await pool.query<{ is: string }>('SHOW default_transaction_read_only'))[0] !== undefined && await pool.query('SELECT 1')) break
    }
    await turn('on')
    while (pool.status().canSave) await pool.query('INSERT INTO changes VALUES (1)').catch(() => {})
    t.same(pool.status(), { canSave: false, reason: 'Postgres: it is read-only' })
    await pool.query('SELECT 1')
    t.same(pool.status().canSave, false, 'a read says nothing of changes')
    await turn('off')
    await log.waitFor('Postgres keeps changes again')
    await pool.query('INSERT INTO changes VALUES (1)')
  })

  t.test('a server that cannot be had ends the start in one line without a secret', async t => {
    const { pool, log } = makePool(t, { url: url.replace(/:\d+\//, ':1/'), firstConnectMs: 200 })
    const error: unknown = await pool.open().catch((error: unknown) => error)
    t.match(error, { code: 'STORE_UNREACHABLE', message: 'The database of DATABASE_URL cannot be used: nothing listens at its address' })
    t.equal(log.lines.length, 1)
    for (const [wrong, reason] of [
      [url.replace('secret-of-test', 'wrong'), /password is wrong/], [url.replace(/test_\d+$/, 'none'), /no such database/], [`${url}?sslmode=require`, /does not speak TLS/]
    ] as const) {
      const { pool, log } = makePool(t, { url: wrong })
      await t.rejects(pool.open(), { code: 'STORE_UNREACHABLE', message: reason })
      t.same(log.lines, [], 'nobody waits for what waiting does not mend')
    }
  })

  t.test('PgBouncer in transaction mode is taken as it is, which is said once', { skip: NO_PGBOUNCER }, async t => {
    const bouncer = await PgBouncer.start(t, server)
    const { pool, log } = makePool(t, { url: bouncer.addressOf(url), timeouts: SHORT })
    await Promise.all([pool.open(), pool.query('SELECT 1'), pool.query('SELECT 1')])
    t.same(log.lines, ['info: Postgres is reached through a pooler that passes on no settings: limits of time are set with each transaction'])
    await t.rejects(pool.transaction(async client => { await client.query('SELECT pg_sleep(60)') }), { code: '57014' })
    t.same(await pool.query('SHOW statement_timeout'), [{ statement_timeout: '0' }], 'and leave nothing behind')
    await bouncer.stop()
    while (pool.status().canSave) await pool.query('SELECT 1').catch(() => {})
    await bouncer.start()
    await log.waitFor('Postgres keeps changes again')
    t.same(await pool.query('SELECT 1 AS one'), [{ one: 1 }])
  })
})

t.test('an address that cannot be used is refused by the name of the setting, without repeating it', async t => {
  for (const url of ['postgres://u:geheim@[h/d', 'postgres://u:geheim@h/d?sslmode=verify-ca', 'postgres://u:geheim@h/d?sslmode=require&sslrootcert=/none']) {
    try {
      makePool(t, { url })
      t.fail(url)
    } catch (error) {
      t.match(error, { code: 'SETTING_INVALID', message: /^DATABASE_URL / })
      t.notMatch(error, { message: /geheim/ })
    }
  }
})

t.test('no mode of TLS makes the driver warn of itself', async t => {
  const warnings: Error[] = []
  const keep = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', keep)
  t.after(() => { process.off('warning', keep) })
  for (const mode of ['disable', 'prefer', 'require', 'verify-full', 'no-verify']) makePool(t, { url: `postgres://u:p@h/d?sslmode=${mode}` })
  await new Promise(resolve => setImmediate(resolve))
  t.same(warnings, [])
})
