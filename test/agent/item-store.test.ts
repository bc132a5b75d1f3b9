import Database from 'better-sqlite3'
import t from 'tap'
import { ItemStore } from '../../src/agent/item-store.ts'

t.test('an item is kept, changed and deleted', async t => {
  let now = 1000
  const store = new ItemStore(new Database(':memory:'), () => now)
  t.equal(await store.get(['notes', 'ann'], 'k'), null)
  await store.put(['notes', 'ann'], 'k', { text: 'one' })
  now = 2000
  await store.put(['notes', 'ann'], 'k', { text: 'two' })
  t.match(await store.get(['notes', 'ann'], 'k'), {
    namespace: ['notes', 'ann'], key: 'k', value: { text: 'two' }, createdAt: new Date(1000), updatedAt: new Date(2000)
  })
  await store.delete(['notes', 'ann'], 'k')
  t.equal(await store.get(['notes', 'ann'], 'k'), null)
})

t.test('a search stays within its namespace, oldest first, paged', async t => {
  let now = 0
  const store = new ItemStore(new Database(':memory:'), () => ++now)
  for (const user of ['ann', 'ann2', 'bob']) {
    for (const key of ['c', 'a', 'b']) await store.put(['notes', user], key, { user, key })
  }
  const keys = async (prefix: string[], options = {}) => (await store.search(prefix, options)).map(item => `${item.namespace[1]}/${item.key}`)
  t.same(await keys(['notes', 'ann']), ['ann/c', 'ann/a', 'ann/b'])
  t.equal((await keys(['notes'])).length, 9)
  t.equal((await keys([])).length, 9)
  t.same(await keys(['note']), [])
  t.same(await keys(['notes', 'ann'], { limit: 1, offset: 1 }), ['ann/a'])
  t.same(await keys(['notes'], { filter: { key: 'a' } }), ['ann/a', 'ann2/a', 'bob/a'])
  t.same(await keys(['notes'], { filter: { user: { $ne: 'ann' }, key: { $eq: 'c' } } }), ['ann2/c', 'bob/c'])
})

t.test('namespaces are listed by prefix, suffix and depth', async t => {
  const store = new ItemStore(new Database(':memory:'))
  for (const namespace of [['a', 'x', '1'], ['a', 'y', '1'], ['b', 'x', '2']]) await store.put(namespace, 'k', {})
  t.same(await store.listNamespaces(), [['a', 'x', '1'], ['a', 'y', '1'], ['b', 'x', '2']])
  t.same(await store.listNamespaces({ prefix: ['a'] }), [['a', 'x', '1'], ['a', 'y', '1']])
  t.same(await store.listNamespaces({ prefix: ['*', 'x'] }), [['a', 'x', '1'], ['b', 'x', '2']])
  t.same(await store.listNamespaces({ suffix: ['2'] }), [['b', 'x', '2']])
  t.same(await store.listNamespaces({ maxDepth: 1 }), [['a'], ['b']])
})

t.test('a batch answers each operation in its place', async t => {
  const store = new ItemStore(new Database(':memory:'))
  const [put, got, none] = await store.batch([
    { namespace: ['n'], key: 'k', value: { a: 1 } }, { namespace: ['n'], key: 'k' }, { namespace: ['n'], key: 'other' }
  ])
  t.equal(put, undefined)
  t.match(got, { value: { a: 1 } })
  t.equal(none, null)
})
