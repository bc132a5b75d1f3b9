import t, { type Test } from 'tap'
import { migrate } from '../../../src/postgres/migrate.ts'
import { PostgresPool } from '../../../src/postgres/pool.ts'
import { UNOBSERVED } from '../../../src/sessions/csv/observed-files.ts'
import { PostgresSessionStore } from '../../../src/sessions/postgres/store.ts'
import { testSessionStore, type StoreSettings } from '../../contract/session-store.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'
import { makeLog } from '../../fixtures/sessions.ts'
import { TicketTurns } from '../../fixtures/ticket-turns.ts'

t.test('with a server', async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])

  const openPool = async (t: Test): Promise<PostgresPool> => {
    const pool = new PostgresPool({ url: await server.createDatabase(), max: 5, log: makeLog() })
    t.after(() => pool.close())
    await migrate(pool)
    return pool
  }
  const makeStore = (pool: PostgresPool, settings: StoreSettings) => {
    return new PostgresSessionStore({ pool, turns: new TicketTurns(pool), log: makeLog(), observer: UNOBSERVED, ...settings })
  }

  t.test('a store on Postgres is a session store', async t => {
    testSessionStore(t, async (t, settings) => {
      const pool = await openPool(t)
      return () => makeStore(pool, settings)
    })
  })
})
