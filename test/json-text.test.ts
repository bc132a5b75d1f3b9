import fc from 'fast-check'
import t from 'tap'
import { findIllFormed, MAX_DEPTH } from '../src/json-text.ts'

const check = (value: unknown) => findIllFormed(JSON.stringify(value), value)

t.test('what no store could keep is found, and named by its field', async t => {
  t.equal(check({ message: 'a\0' }), 'message holds a NUL character')
  t.equal(check({ metadata: { a: ['ok', '\udc00'] } }), 'metadata.a.1 holds a lone surrogate')
  t.equal(check({ metadata: { 'k\ud800': 1 } }), 'metadata holds a key with a NUL character or a lone surrogate')
})

t.test('a number that would come back as null is refused', async t => {
  t.equal(findIllFormed('{"a":1e400}', JSON.parse('{"a":1e400}')), 'a holds a number that is too large')
  t.equal(findIllFormed(`{"a":-1${'0'.repeat(400)}}`, JSON.parse(`{"a":-1${'0'.repeat(400)}}`)), 'a holds a number that is too large')
  t.equal(findIllFormed('{"a":1e300}', JSON.parse('{"a":1e300}')), undefined)
})

t.test('whatever is well formed passes', async t => {
  t.equal(check({ message: 'Zoë 🚀 \\u0000 \u2028' }), undefined)
  fc.assert(fc.property(fc.json({ maxDepth: 5, stringUnit: 'grapheme' }), text => {
    const isClean = !/\\u0000/.test(text)
    return !isClean || findIllFormed(text, JSON.parse(text)) === undefined
  }))
})

t.test('nesting is bounded, and looked at without recursion', async t => {
  const nest = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  t.equal(findIllFormed(nest(MAX_DEPTH), JSON.parse(nest(MAX_DEPTH))), undefined)
  t.match(findIllFormed(nest(MAX_DEPTH + 1), JSON.parse(nest(MAX_DEPTH + 1))), 'nested deeper')
  t.match(findIllFormed(nest(100_000), JSON.parse(nest(100_000))), 'nested deeper')
  t.equal(check(Array.from({ length: 5000 }, () => [1])), undefined, 'wide is not deep')
})
