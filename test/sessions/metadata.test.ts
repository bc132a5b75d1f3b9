import t from 'tap'
import { MAX_METADATA_BYTES, mergeMetadata, readUserName } from '../../src/sessions/metadata.ts'

t.test('metadata merges key by key; null removes what is named and nothing else', async t => {
  t.same(mergeMetadata({ a: 1, nul: null, b: { x: 1 } }, { a: 2, b: null, c: [] }), { a: 2, nul: null, c: [] })
})

t.test('a change that changes nothing gives back the same object', async t => {
  const current = { a: { b: [1] }, c: 'x' }
  t.equal(mergeMetadata(current, undefined), current)
  t.equal(mergeMetadata(current, {}), current)
  t.equal(mergeMetadata(current, { a: { b: [1] }, unknown: null }), current)
  t.not(mergeMetadata(current, { c: 'y' }), current)
})

t.test('a __proto__ key is data like any other', async t => {
  const change: Record<string, unknown> = JSON.parse('{"__proto__": {"polluted": true}}')
  const merged = mergeMetadata({ a: 1 }, change)
  t.equal(Object.getPrototypeOf(merged), Object.prototype)
  t.equal(JSON.stringify(merged), '{"a":1,"__proto__":{"polluted":true}}')
})

t.test('the size counts once merged, in bytes', async t => {
  const room = MAX_METADATA_BYTES - '{"a":""}'.length
  t.ok(mergeMetadata({}, { a: 'x'.repeat(room) }))
  t.throws(() => mergeMetadata({}, { a: 'x'.repeat(room + 1) }), { code: 'REQUEST_INVALID' })
  t.throws(() => mergeMetadata({}, { a: 'é'.repeat(room / 2 + 1) }), { code: 'REQUEST_INVALID' })
  t.throws(() => mergeMetadata({}, { holdline: 1 }), { code: 'REQUEST_INVALID', message: /metadata\.holdline/ })
})

t.test('a name is one line of at most 200 characters, or none', async t => {
  t.equal(readUserName({ user_profile: { name: ' Ann\r\nLee\u2028x ' } }), 'Ann Lee x')
  t.equal(readUserName({ user_profile: { name: 'x'.repeat(500) } })?.length, 200)
  for (const metadata of [{}, { user_profile: null }, { user_profile: [] }, { user_profile: { name: 5 } }, { user_profile: { name: ' \n' } }]) {
    t.equal(readUserName(metadata), undefined)
  }
})
