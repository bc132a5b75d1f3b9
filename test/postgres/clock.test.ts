import t from 'tap'
import { PostgresClock } from '../../src/postgres/clock.ts'

t.test('until the server has told the time, the time is that of the machine', async t => {
  t.equal(new PostgresClock({ now: () => 5 }).now(), 5)
})

t.test('the time is that of the server from then on, in whole milliseconds', async t => {
  const clock = new PostgresClock({ now: () => 5 })
  clock.sync(1_000_000.4, performance.now())
  const now = clock.now()
  t.ok(now >= 1_000_000 && now < 1_010_000, String(now))
  t.ok(Number.isInteger(now))
})

t.test('the server is believed to have told the time half way between the question and the answer', async t => {
  const clock = new PostgresClock()
  clock.sync(1_000_000, performance.now() - 2000)
  const now = clock.now()
  t.ok(now >= 1_001_000 && now < 1_010_000, String(now))
})

t.test('an answer that cannot know better changes nothing; one that does is believed', async t => {
  const clock = new PostgresClock()
  clock.sync(1_000_000, performance.now())
  clock.sync(899_000, performance.now() - 2_000_000)
  t.ok(clock.now() < 1_800_000, 'one that took longer than it would put right')
  clock.sync(1_960_000, performance.now())
  t.ok(clock.now() >= 1_960_000)
  clock.sync(1_000_000, performance.now())
  t.ok(clock.now() < 1_900_000, 'back, too')
})
