import fc from 'fast-check'
import t from 'tap'
import { formatRanges, parseLists, parseRanges, subtractRanges } from '../../../src/agent/checkpoints/ranges.ts'

const numbers = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 40 })

t.test('numbers come back in their order, however often and wherever they stand', async () => {
  fc.assert(fc.property(numbers, list => {
    t.same(parseRanges(formatRanges(list)), list)
  }))
})

t.test('what only grows at its end is one range', async t => {
  t.same(formatRanges(Array.from({ length: 1000 }, (_, index) => index + 1)), [[1, 1000]])
  t.same(formatRanges([1, 2, 5, 6, 4]), [[1, 2], [5, 2], [4, 1]])
  t.same(formatRanges([]), [])
})

t.test('a difference holds each number of the one that is not in the other, once', async () => {
  fc.assert(fc.property(numbers, numbers, (list, kept) => {
    const expected = [...new Set(list)].filter(number => !kept.includes(number)).sort((a, b) => a - b)
    t.same(parseRanges(subtractRanges(formatRanges(list), formatRanges(kept))), expected)
  }))
})

t.test('lists that are none are refused', async t => {
  t.same(parseLists('{"messages":[[1,2],[5,1]]}'), { messages: [[1, 2], [5, 1]] })
  for (const text of ['[]', 'null', '{"messages":[[1]]}', '{"messages":[[1,0]]}', '{"messages":[["1",1]]}', '{']) t.throws(() => parseLists(text), text)
})
