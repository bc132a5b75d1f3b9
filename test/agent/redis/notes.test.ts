import t, { type Test } from 'tap'
import { RedisNotes } from '../../../src/agent/redis/notes.ts'
import { runUnderLease } from '../../../src/turn-lease.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { connectRedis, listKeys, makeLease } from '../../fixtures/redis-conversations.ts'

t.test('notes in Redis', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)

  async function openNotes (t: Test, now: () => number = Date.now) {
    const connection = await connectRedis(t, server)
    await connection.client.flushdb()
    return { connection, notes: new RedisNotes(connection, now) }
  }

  t.test('an item is kept, changed and deleted, and then leaves no key', async t => {
    let now = 1000
    const { notes, connection } = await openNotes(t, () => now)
    t.equal(await notes.get(['notes', 'ann'], 'k'), null)
    await notes.put(['notes', 'ann'], 'k', { text: 'one\ntwo\u0000' })
    t.match(await notes.get(['notes', 'ann'], 'k'), { value: { text: 'one\ntwo\u0000' } })
    now = 2000
    await notes.put(['notes', 'ann'], 'k', { text: 'two' })
    t.match(await notes.get(['notes', 'ann'], 'k'), {
      namespace: ['notes', 'ann'], key: 'k', value: { text: 'two' }, createdAt: new Date(1000), updatedAt: new Date(2000)
    })
    await notes.delete(['notes', 'ann'], 'k')
    t.equal(await notes.get(['notes', 'ann'], 'k'), null)
    t.same(await listKeys(connection), [])
  })

  t.test('a search stays within its namespace, oldest first, paged', async t => {
    let now = 0
    const { notes } = await openNotes(t, () => ++now)
    for (const user of ['telegram_1', 'telegram_12', 'telegram_1 ', 'discord_1']) {
      for (const key of ['c', 'a', 'b']) await notes.put(['notes', user], key, { user, key })
    }
    const keys = async (prefix: string[], options = {}) => (await notes.search(prefix, options)).map(item => `${item.namespace[1]}/${item.key}`)
    t.same(await keys(['notes', 'telegram_1']), ['telegram_1/c', 'telegram_1/a', 'telegram_1/b'], 'no other person\'s')
    t.equal((await keys(['notes'], { limit: 20 })).length, 12)
    t.equal((await keys([], { limit: 20 })).length, 12)
    t.equal((await keys([])).length, 10)
    t.same(await keys(['note']), [])
    t.same(await keys(['notes', 'telegram_1'], { limit: 1, offset: 1 }), ['telegram_1/a'])
    t.same(await keys(['notes'], { filter: { key: 'a' } }), ['telegram_1/a', 'telegram_12/a', 'telegram_1 /a', 'discord_1/a'])
    t.same(await keys(['notes'], { filter: { user: { $ne: 'telegram_1' }, key: { $eq: 'c' } } }), ['telegram_12/c', 'telegram_1 /c', 'discord_1/c'])
  })

  t.test('namespaces are listed by prefix, suffix and depth', async t => {
    const { notes } = await openNotes(t)
    for (const namespace of [['a', 'x', '1'], ['a', 'y', '1'], ['b', 'x', '2']]) await notes.put(namespace, 'k', {})
    t.same(await notes.listNamespaces(), [['a', 'x', '1'], ['a', 'y', '1'], ['b', 'x', '2']])
    t.same(await notes.listNamespaces({ prefix: ['a'] }), [['a', 'x', '1'], ['a', 'y', '1']])
    t.same(await notes.listNamespaces({ prefix: ['*', 'x'] }), [['a', 'x', '1'], ['b', 'x', '2']])
    t.same(await notes.listNamespaces({ suffix: ['2'] }), [['b', 'x', '2']])
    t.same(await notes.listNamespaces({ maxDepth: 1 }), [['a'], ['b']])
  })

  t.test('a batch is one step that answers each operation in its place', async t => {
    const { notes, connection } = await openNotes(t)
    const before = connection.commandCount
    const [put, got, none, found, listed] = await notes.batch([
      { namespace: ['n'], key: 'k', value: { a: 1 } }, { namespace: ['n'], key: 'k' }, { namespace: ['n'], key: 'other' },
      { namespacePrefix: ['n'] }, { limit: 10, offset: 0 }
    ])
    t.equal(connection.commandCount, before + 1)
    t.equal(put, undefined)
    t.match(got, { value: { a: 1 } })
    t.equal(none, null)
    t.match(found, [{ key: 'k' }])
    t.same(listed, [['n']])
  })

  t.test('a turn that was taken over keeps no note', async t => {
    const { notes, connection } = await openNotes(t)
    const { lease, lose } = await makeLease(connection, 'lease-1')
    await runUnderLease(lease, () => notes.put(['n'], 'k', { a: 1 }))
    await lose()
    await t.rejects(runUnderLease(lease, () => notes.put(['n'], 'k', { a: 2 })), { code: 'TURN_TAKEN_OVER', retryAfterSeconds: 5 })
    await t.rejects(runUnderLease(lease, () => notes.delete(['n'], 'k')), { code: 'TURN_TAKEN_OVER' })
    t.match(await notes.get(['n'], 'k'), { value: { a: 1 } })
  })
})
