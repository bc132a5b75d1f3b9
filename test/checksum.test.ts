import fc from 'fast-check'
import t from 'tap'
import { Checksum, isSameSum } from '../src/checksum.ts'

function sum (texts: readonly string[]) {
  const checksum = new Checksum()
  for (const text of texts) checksum.add(text)
  return checksum.sum
}

t.test('the same texts come to the same, in whatever order; one more, one less, or another one does not', async t => {
  await fc.assert(fc.asyncProperty(fc.array(fc.string(), { minLength: 1 }), fc.string(), async (texts, other) => {
    const whole = sum(texts)
    t.ok(isSameSum(whole, sum([...texts].reverse())))
    t.notOk(isSameSum(whole, sum([...texts, other])))
    t.notOk(isSameSum(whole, sum(texts.slice(1))))
    if (other !== texts[0]) t.notOk(isSameSum(whole, sum([other, ...texts.slice(1)])))
  }), { numRuns: 100 })
})

t.test('of one text it is its SHA-256, and of none it is zeros', async t => {
  t.same(sum(['abc']), { count: 1, sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' })
  t.same(sum([]), { count: 0, sha256: '0'.repeat(64) })
})
