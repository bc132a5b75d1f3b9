import t from 'tap'
import { RequestCounts } from '../src/request-counts.ts'

const WINDOW_MS = 60_000

t.test('each key is counted by itself, from its first request to the end of its window', async t => {
  let nowMs = 1000
  const counts = new RequestCounts({ maxKeys: 10, now: () => nowMs })
  t.same(counts.add('ann', WINDOW_MS), { count: 1, leftMs: WINDOW_MS })
  nowMs += 20_000
  t.same(counts.add('ann', WINDOW_MS), { count: 2, leftMs: 40_000 })
  t.same(counts.add('bob', WINDOW_MS), { count: 1, leftMs: WINDOW_MS })
  nowMs += 39_999
  t.same(counts.add('ann', WINDOW_MS), { count: 3, leftMs: 1 })
  nowMs += 1
  t.same(counts.add('ann', WINDOW_MS), { count: 1, leftMs: WINDOW_MS }, 'then a new one begins')
  t.same(counts.add('bob', WINDOW_MS), { count: 2, leftMs: 20_000 })
})

t.test('what is over is forgotten when anybody asks', async t => {
  let nowMs = 1000
  const counts = new RequestCounts({ maxKeys: 1000, now: () => nowMs })
  for (let index = 0; index < 500; index++) counts.add(`person ${index}`, WINDOW_MS)
  t.equal(counts.size, 500)
  nowMs += WINDOW_MS
  counts.add('ann', WINDOW_MS)
  t.equal(counts.size, 1)
})

t.test('never more keys are remembered than may be: those whose windows began first go', async t => {
  const counts = new RequestCounts({ maxKeys: 3, now: () => 1000 })
  for (const key of ['a', 'b', 'c', 'd']) counts.add(key, WINDOW_MS)
  t.equal(counts.size, 3)
  t.equal(counts.add('d', WINDOW_MS).count, 2)
  t.equal(counts.add('a', WINDOW_MS).count, 1)
})

t.test('a clock that is set back makes nobody wait longer than a window', async t => {
  let nowMs = 10 * WINDOW_MS
  const counts = new RequestCounts({ maxKeys: 3, now: () => nowMs })
  counts.add('ann', WINDOW_MS)
  nowMs = WINDOW_MS
  t.same(counts.add('ann', WINDOW_MS), { count: 1, leftMs: WINDOW_MS })
})
