import pg from 'pg'
import t from 'tap'
import { runChaos } from './fixtures/chaos.ts'
import { PostgresServer } from './fixtures/postgres.ts'

t.test('three replicas on Postgres, killed, paused and cut off, one with a wrong clock: turns are linear, nothing acknowledged is lost', async t => {
  const server = await PostgresServer.start(t)
  const url = await server.createDatabase()
  await runChaos(t, {
    env: { SESSION_STORE: 'postgres', DATABASE_URL: url },
    count: 3,
    durationMs: 45_000,
    faults: {
      'all connections are terminated': async () => {
        const client = new pg.Client({ connectionString: url })
        await client.connect()
        await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()')
        await client.end()
      },
      'the database is restarted': async () => {
        await server.stop()
        await server.start()
      }
    }
  })
})
