import t from 'tap'
import { RedisConnection } from '../../src/redis/client.ts'
import { RedisLeads } from '../../src/redis/leads.ts'
import { RedisRequestCounts } from '../../src/redis/request-counts.ts'
import { NO_REDIS, RedisServer } from '../fixtures/redis.ts'
import { makeLog } from '../fixtures/sessions.ts'

t.test('what replicas ask the server', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const connect = async (): Promise<RedisConnection> => {
    const connection = new RedisConnection({ url: server.addressOf(0), log: makeLog() })
    t.after(() => connection.close())
    await connection.open()
    return connection
  }
  const [one, other] = [await connect(), await connect()]

  t.test('requests are counted by kind and key, over all replicas, in one round trip each', async t => {
    const [ours, theirs] = [new RedisRequestCounts(one), new RedisRequestCounts(other)]
    const first = await ours.add('person', 'a', 60_000)
    t.same(first, { count: 1, leftMs: 60_000 })
    const before = other.commandCount
    t.equal((await theirs.add('person', 'a', 60_000)).count, 2)
    t.equal(other.commandCount, before + 1)
    t.equal((await theirs.add('person', 'b', 60_000)).count, 1)
    t.equal((await theirs.add('key', 'a', 60_000)).count, 1)
    const counts = await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? ours : theirs).add('person', 'a', 60_000)))
    t.same(counts.map(({ count }) => count).sort((a, b) => a - b), Array.from({ length: 20 }, (_, index) => index + 3))
  })

  t.test('a window ends, and one without an end gets one', async t => {
    const counts = new RedisRequestCounts(one)
    await counts.add('person', 'c', 60_000)
    const ttlMs = await one.client.pttl('{holdline}:count:person:c')
    t.ok(ttlMs > 0 && ttlMs <= 60_000)
    await one.client.pexpire('{holdline}:count:person:c', 0)
    t.equal((await counts.add('person', 'c', 60_000)).count, 1)
    await one.client.persist('{holdline}:count:person:c')
    t.same(await counts.add('person', 'c', 60_000), { count: 2, leftMs: 60_000 })
  })

  t.test('of all that ask one leads, may ask again, and is followed when it does not', async t => {
    const [ours, theirs] = [new RedisLeads(one), new RedisLeads(other)]
    t.equal(await ours.take('sweep', 60_000), true)
    t.equal(await theirs.take('sweep', 60_000), false)
    t.equal(await ours.take('sweep', 60_000), true)
    t.equal(await theirs.take('other', 60_000), true)
    await one.client.pexpire('{holdline}:lead:sweep', 0)
    t.equal(await theirs.take('sweep', 60_000), true)
    t.equal(await ours.take('sweep', 60_000), false)
  })
})
