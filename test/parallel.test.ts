import t from 'tap'
import { forEachParallel } from '../src/parallel.ts'

async function * count (to: number): AsyncGenerator<number> {
  for (let number = 1; number <= to; number++) yield number
}

t.test('each item comes once, never more than asked for at a time', async t => {
  const seen: number[] = []
  let running = 0
  let most = 0
  await forEachParallel(count(20), 3, async number => {
    most = Math.max(most, ++running)
    await new Promise(resolve => setImmediate(resolve))
    seen.push(number)
    running--
  })
  t.same(seen.sort((a, b) => a - b), Array.from({ length: 20 }, (_, index) => index + 1))
  t.equal(most, 3)
})

t.test('after a failure nothing is begun any more, and what is under way ends first', async t => {
  const begun: number[] = []
  let ended = 0
  await t.rejects(forEachParallel(count(100), 3, async number => {
    begun.push(number)
    if (number === 2) throw new Error('of the second')
    await new Promise(resolve => setImmediate(resolve))
    ended++
  }), { message: 'of the second' })
  t.ok(begun.length < 10)
  t.equal(ended, begun.length - 1)
})
