import pg from 'pg'
import t from 'tap'
import { runChaos } from './fixtures/chaos.ts'
import { NO_PGBOUNCER, PgBouncer } from './fixtures/pgbouncer.ts'
import { PostgresServer } from './fixtures/postgres.ts'

t.test('two replicas behind PgBouncer in transaction mode, killed, paused and cut off: the same holds', { skip: NO_PGBOUNCER }, async t => {
  const server = await PostgresServer.start(t)
  const bouncer = await PgBouncer.start(t, server)
  const url = await server.createDatabase()
  await runChaos(t, {
    env: { SESSION_STORE: 'postgres', DATABASE_URL: bouncer.addressOf(url) },
    count: 2,
    durationMs: 10_000,
    faults: {
      'the connections of the pooler are terminated': async () => {
        const client = new pg.Client({ connectionString: url })
        await client.connect()
        await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()')
        await client.end()
      },
      'the pooler is restarted': async () => {
        await bouncer.stop()
        await bouncer.start()
      }
    }
  })
})
