import t from 'tap'
import { RestingThreads } from '../../src/agent/resting-threads.ts'

t.test('a thread rests from the end of a run to the beginning of the next', async t => {
  const threads = new RestingThreads(() => 0)
  t.equal(threads.has('a'), false)
  const epoch = threads.delete('a')
  threads.add('a', epoch)
  t.equal(threads.has('a'), true)
  threads.delete('a')
  t.equal(threads.has('a'), false)
})

t.test('what was noted before the disk failed counts no more, and a run that it cut across notes nothing', async t => {
  let epoch = 0
  const threads = new RestingThreads(() => epoch)
  threads.add('a', threads.delete('a'))
  const moved = threads.delete('b')
  epoch = 1
  t.equal(threads.has('a'), false)
  threads.add('b', moved)
  t.equal(threads.has('b'), false)
  threads.add('b', threads.delete('b'))
  t.equal(threads.has('b'), true)
})

t.test('there is a bound, beyond which the oldest is forgotten', async t => {
  const threads = new RestingThreads(() => 0)
  for (let n = 0; n <= 10_000; n++) threads.add(`thread_${n}`, 0)
  t.equal(threads.has('thread_0'), false)
  t.equal(threads.has('thread_1'), true)
})
