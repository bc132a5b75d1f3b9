import t from 'tap'
import { testSessionStore } from '../../contract/session-store.ts'
import { NO_PGBOUNCER, PgBouncer } from '../../fixtures/pgbouncer.ts'
import { PostgresReplica } from '../../fixtures/postgres-replica.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'

t.test('a store on Postgres behind PgBouncer in transaction mode is a session store', { skip: NO_PGBOUNCER }, async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])
  const bouncer = await PgBouncer.start(t, server)
  const replica = await PostgresReplica.open(t, bouncer.addressOf(await server.createDatabase()))
  testSessionStore(t, async (_, settings) => {
    await replica.pool.query('TRUNCATE holdline.sessions, holdline.turns')
    return () => replica.makeStore(settings)
  })
})
