import t, { type Test } from 'tap'
import { openPostgresConversations } from '../../src/agent/postgres/open.ts'
import { migrate, withMigrationLock } from '../../src/postgres/migrate.ts'
import { MIGRATIONS } from '../../src/postgres/migrations/all.ts'
import { PostgresPool } from '../../src/postgres/pool.ts'
import { NO_PGBOUNCER, PgBouncer } from '../fixtures/pgbouncer.ts'
import { PostgresServer } from '../fixtures/postgres.ts'
import { makeLog } from '../fixtures/sessions.ts'

function makePools (t: Test, url: string, count: number): PostgresPool[] {
  return Array.from({ length: count }, () => {
    const pool = new PostgresPool({ url, max: 2, log: makeLog() })
    t.after(() => pool.close())
    return pool
  })
}

async function listTables (pool: PostgresPool): Promise<string[]> {
  const rows = await pool.query<{ name: string }>("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'holdline' ORDER BY 1")
  return rows.map(({ name }) => name)
}

t.test('with a server', async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])

  t.test('ten that start at once on an empty database bring it up once', async t => {
    const pools = makePools(t, await server.createDatabase(), 10)
    await Promise.all(pools.map(async pool => { await migrate(pool) }))
    for (const pool of pools.slice(0, 1)) {
      t.match(await listTables(pool), ['held', 'items', 'leads', 'migrations', 'migrations_lock', 'moves', 'request_counts', 'sessions', 'turn_events', 'turn_fences', 'turns'])
      t.same((await pool.query<{ name: string }>('SELECT name FROM holdline.migrations')).map(({ name }) => name), [...MIGRATIONS.keys()])
      const before = pool.queryCount
      await migrate(pool)
      t.equal(pool.queryCount - before, 2, 'one that starts later only looks')
    }
  })

  t.test('so they do through PgBouncer in transaction mode, with fewer connections than there are of them', { skip: NO_PGBOUNCER }, async t => {
    const bouncer = await PgBouncer.start(t, server, ['default_pool_size = 2'])
    const pools = makePools(t, bouncer.addressOf(await server.createDatabase()), 10)
    await Promise.all(pools.map(async pool => {
      await pool.open()
      await migrate(pool)
    }))
    for (const pool of pools.slice(0, 1)) {
      t.ok((await listTables(pool)).includes('sessions'))
      t.same(await pool.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), [], 'no lock is left behind')
    }
  })

  t.test('what fails leaves nothing behind, and says why', async t => {
    for (const pool of makePools(t, await server.createDatabase(), 1)) {
      await t.rejects(migrate(pool, new Map([['1', 'CREATE TABLE holdline.one (n int)'], ['2', 'CREATE TABLE none.two (n int)']])), {
        code: 'STORE_UNREACHABLE', message: /^The tables .* cannot be brought up: /
      })
      t.same(await listTables(pool), [])
      await migrate(pool, new Map([['1', 'CREATE TABLE holdline.one (n int)']]))
      await migrate(pool, new Map([['1', 'CREATE TABLE holdline.one (n int)'], ['2', 'CREATE TABLE holdline.two (n int)']]))
      t.same(await listTables(pool), ['migrations', 'migrations_lock', 'one', 'two'], 'what comes later is added')
    }
  })

  t.test('a database that is read-only is told from one that fails', async t => {
    const url = await server.createDatabase()
    for (const pool of makePools(t, url, 1)) {
      await pool.query(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_read_only = on`)
    }
    for (const pool of makePools(t, url, 1)) await t.rejects(migrate(pool), { code: 'STORE_UNREACHABLE', message: /cannot be brought up: it is read-only$/ })
  })

  t.test('a database whose transactions would see what was there before a wait is refused', async t => {
    const url = await server.createDatabase()
    for (const pool of makePools(t, url, 1)) {
      await pool.query(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET default_transaction_isolation = 'repeatable read'`)
    }
    for (const pool of makePools(t, url, 1)) {
      await t.rejects(migrate(pool), { code: 'SETTING_INVALID', message: /default_transaction_isolation is read committed, received repeatable read$/ })
    }
  })

  t.test('a user without the right to make a schema is told what it lacks, and needs no more than a schema of its own', async t => {
    const address = await server.createDatabase()
    const [admin] = makePools(t, address, 1)
    await admin?.query("CREATE ROLE ordinary LOGIN PASSWORD 'secret-of-test'")
    const [pool] = makePools(t, address.replace('postgres:', 'ordinary:').replace('postgresql', 'postgres'), 1)
    if (pool === undefined) throw new TypeError('There is one')
    const refusal = { code: 'STORE_UNREACHABLE', message: /the user lacks a right; it needs CREATE on the database, or .*: CREATE SCHEMA holdline AUTHORIZATION <user>$/ }
    await t.rejects(migrate(pool), refusal)
    await admin?.query('CREATE SCHEMA holdline')
    await t.rejects(migrate(pool), refusal, 'where the schema is somebody else\'s, too')
    await admin?.query('ALTER SCHEMA holdline OWNER TO ordinary')
    await migrate(pool)
    await openPostgresConversations({ pool, log: makeLog(), now: Date.now })
    t.ok((await listTables(pool)).includes('checkpoints'))
  })

  t.test('a database that a newer version brought up is refused, naming what is not known', async t => {
    for (const pool of makePools(t, await server.createDatabase(), 1)) {
      await migrate(pool, new Map([...MIGRATIONS, ['9999_future', 'SELECT 1']]))
      await t.rejects(migrate(pool), { code: 'SETTING_INVALID', message: /DATABASE_URL .* newer version .*9999_future/ })
    }
  })

  t.test('a database that cannot keep every text is refused', async t => {
    for (const pool of makePools(t, await server.createDatabase(), 1)) {
      await pool.query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
      const [latin] = makePools(t, server.addressOf('latin'), 1)
      await t.rejects(async () => { if (latin !== undefined) await migrate(latin) }, { code: 'SETTING_INVALID', message: 'DATABASE_URL must name a database in UTF8, received one in LATIN1' })
    }
  })

  t.test('what changes the schema is done by one at a time, and takes effect as a whole', async t => {
    const url = await server.createDatabase()
    const pools = makePools(t, url, 4)
    let running = 0
    await Promise.all(pools.map(pool => withMigrationLock(pool, async client => {
      t.equal(++running, 1)
      await client.query('SELECT pg_sleep(0.02)')
      running--
    })))
    for (const pool of pools.slice(0, 1)) {
      await t.rejects(withMigrationLock(pool, async client => {
        await client.query('CREATE TABLE half (n int)')
        throw new Error('no')
      }), { code: 'STORE_UNREACHABLE', cause: { message: 'no' } })
      t.same(await pool.query("SELECT to_regclass('half') AS half"), [{ half: null }])
    }
  })
})
