import t from 'tap'
import { LogBudget } from '../src/log-budget.ts'

t.test('a window has so many lines and no more, the last one is told, and the next window tells how many there were not', async t => {
  let nowMs = 5
  const budget = new LogBudget({ maxLines: 2, windowMs: 100, now: () => nowMs })
  t.same(budget.take(), { isGranted: true, isLast: false, withheld: 0 })
  nowMs += 99
  t.same(budget.take(), { isGranted: true, isLast: true, withheld: 0 })
  for (let i = 0; i < 3; i++) t.same(budget.take(), { isGranted: false, isLast: false, withheld: 0 })
  nowMs += 1
  t.same(budget.take(), { isGranted: true, isLast: false, withheld: 3 })
  nowMs += 1000
  t.same(budget.take(), { isGranted: true, isLast: false, withheld: 0 })
})

t.test('a clock that is set back does not silence it', async t => {
  let nowMs = 10_000
  const budget = new LogBudget({ maxLines: 1, windowMs: 100, now: () => nowMs })
  budget.take()
  nowMs = 1
  t.equal(budget.take().isGranted, true)
})
