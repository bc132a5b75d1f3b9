import t from 'tap'
import { RedisClock } from '../../src/redis/clock.ts'

t.test('the clock goes on from the server\'s time, whatever this machine\'s says', async t => {
  let [ambientMs, monotonicMs] = [5000, 100]
  const clock = new RedisClock({ now: () => ambientMs, monotonic: () => monotonicMs })
  t.equal(clock.now(), 5000)
  monotonicMs = 110
  clock.sync(1_000_000, 100)
  t.equal(clock.now(), 1_000_005, 'the server was asked half way')
  ambientMs = -1
  monotonicMs += 50
  t.equal(clock.now(), 1_000_055)
})

t.test('an answer that was long on its way does not set the clock, unless nothing else has', async t => {
  let monotonicMs = 0
  const clock = new RedisClock({ now: () => 0, monotonic: () => monotonicMs })
  monotonicMs = 4000
  clock.sync(1_000_000, 0)
  t.equal(clock.now(), 1_002_000)
  monotonicMs = 8000
  clock.sync(9_000_000, 4000)
  t.equal(clock.now(), 1_006_000)
})
