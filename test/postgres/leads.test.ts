import t from 'tap'
import { PostgresLeads } from '../../src/postgres/leads.ts'
import { PostgresReplica } from '../fixtures/postgres-replica.ts'
import { PostgresServer } from '../fixtures/postgres.ts'

const MINUTE_MS = 60_000

t.test('with a server', async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])
  const url = await server.createDatabase()
  const [one, other] = [await PostgresReplica.open(t, url), await PostgresReplica.open(t, url)]

  t.test('of all that ask, one leads, for as long as it asks again in time', async t => {
    const leads = [one, other].map(({ pool }, index) => new PostgresLeads({ pool, owner: `00000000-0000-4000-8000-00000000000${index}` }))
    const ask = async (task = 'sweep') => await Promise.all(leads.map(async one => await one.take(task, MINUTE_MS)))
    const first = await ask()
    t.equal(first.filter(isLeading => isLeading).length, 1)
    t.same(await ask(), first)
    t.equal((await ask('another task')).filter(isLeading => isLeading).length, 1)
    await one.pool.query("UPDATE holdline.leads SET until = now() - interval '1 ms'")
    t.equal((await ask()).filter(isLeading => isLeading).length, 1)
  })
})
