import type { BaseStore } from '@langchain/langgraph-checkpoint'
import type { Test } from 'tap'

/** Makes an empty store that reads this clock. */
export type MakeNotes = (t: Test, now: () => number) => Promise<BaseStore>

/** What is asked of every store of what agents remember. */
export function testNotes (t: Test, makeNotes: MakeNotes): void {
  t.test('an item is kept, changed and deleted', async t => {
    let now = 1000
    const store = await makeNotes(t, () => now)
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
    const store = await makeNotes(t, () => ++now)
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
    const store = await makeNotes(t, () => 1000)
    for (const namespace of [['a', 'x', '1'], ['a', 'y', '1'], ['b', 'x', '2']]) await store.put(namespace, 'k', {})
    t.same(await store.listNamespaces(), [['a', 'x', '1'], ['a', 'y', '1'], ['b', 'x', '2']])
    t.same(await store.listNamespaces({ prefix: ['a'] }), [['a', 'x', '1'], ['a', 'y', '1']])
    t.same(await store.listNamespaces({ prefix: ['*', 'x'] }), [['a', 'x', '1'], ['b', 'x', '2']])
    t.same(await store.listNamespaces({ suffix: ['2'] }), [['b', 'x', '2']])
    t.same(await store.listNamespaces({ maxDepth: 1 }), [['a'], ['b']])
  })

  t.test('a batch answers each operation in its place', async t => {
    const store = await makeNotes(t, () => 1000)
    const [put, got, none] = await store.batch([
      { namespace: ['n'], key: 'k', value: { a: 1 } }, { namespace: ['n'], key: 'k' }, { namespace: ['n'], key: 'other' }
    ])
    t.equal(put, undefined)
    t.match(got, { value: { a: 1 } })
    t.equal(none, null)
  })

  t.test('a page goes beyond what does not match, and beyond what was kept in one moment', async t => {
    const store = await makeNotes(t, () => 1000)
    for (let n = 0; n < 1200; n += 100) {
      await store.batch(Array.from({ length: 100 }, (_, index) => ({ namespace: ['n'], key: String(n + index).padStart(4, '0'), value: { n: n + index } })))
    }
    const found = await store.search(['n'], { filter: { n: { $gte: 1100 } }, limit: 10, offset: 5 })
    t.same(found.map(item => item.key), Array.from({ length: 10 }, (_, index) => String(1105 + index)))
    t.equal((await store.search(['n'], { limit: 5000 })).length, 1200)
  })

  t.test('what people write is kept as it is', async t => {
    const store = await makeNotes(t, () => 1000)
    const value = { text: '\u0000 \ud800 "\\" \u{1f600} %_', lc: 1, deep: { list: [null, 1.5, true] } }
    await store.put(['notes', 'a%', 'b_'], 'k', value)
    t.same((await store.get(['notes', 'a%', 'b_'], 'k'))?.value, value)
    t.same(await store.search(['notes', 'ax']), [])
  })

  t.test('a batch that fails keeps nothing', async t => {
    const store = await makeNotes(t, () => 1000)
    const circle: Record<string, unknown> = {}
    circle.self = circle
    await t.rejects(store.batch([{ namespace: ['n'], key: 'k', value: { a: 1 } }, { namespace: ['n'], key: 'l', value: circle }]))
    t.equal(await store.get(['n'], 'k'), null)
  })
}
