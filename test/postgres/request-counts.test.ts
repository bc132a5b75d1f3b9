import t from 'tap'
import { PostgresRequestCounts } from '../../src/postgres/request-counts.ts'
import { PostgresReplica } from '../fixtures/postgres-replica.ts'
import { PostgresServer } from '../fixtures/postgres.ts'

const MINUTE_MS = 60_000

t.test('with a server', async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])
  const url = await server.createDatabase()
  const [one, other] = [await PostgresReplica.open(t, url), await PostgresReplica.open(t, url)]

  t.test('requests of a key are counted by all replicas together, each count one query', async t => {
    const [counts, others] = [one, other].map(({ pool, log }) => new PostgresRequestCounts({ pool, log }))
    const before = one.pool.queryCount
    const found = await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? counts : others)?.add('a', MINUTE_MS)))
    t.same(found.map(count => count?.count).sort((a = 0, b = 0) => a - b), Array.from({ length: 20 }, (_, index) => index + 1))
    t.equal(one.pool.queryCount - before, 10)
    t.ok(found.every(count => count !== undefined && count.leftMs > 0 && count.leftMs <= MINUTE_MS))
    t.equal((await counts?.add('b', MINUTE_MS))?.count, 1, 'another key has a window of its own')
  })

  t.test('a window that is over begins again, and is removed', async t => {
    const counts = new PostgresRequestCounts(one)
    await counts.add('over', MINUTE_MS)
    await one.pool.query("UPDATE holdline.request_counts SET ends_at = now() - interval '1 ms' WHERE key = 'over'")
    const { count, leftMs } = await counts.add('over', MINUTE_MS)
    t.equal(count, 1)
    t.ok(leftMs > MINUTE_MS / 2)
    await one.pool.query("UPDATE holdline.request_counts SET ends_at = now() - interval '1 ms' WHERE key = 'over'")
    await counts.clean()
    t.same((await one.pool.query<{ key: string }>('SELECT key FROM holdline.request_counts ORDER BY key')).map(({ key }) => key), ['a', 'b'])
  })
})
