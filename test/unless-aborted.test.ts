import { test } from 'tap'
import { unlessAborted } from '../src/unless-aborted.ts'

test('work that ends first is what it comes to, whatever the signal does then', async t => {
  const stop = new AbortController()
  t.equal(await unlessAborted(Promise.resolve(1), stop.signal), 1)
  await t.rejects(unlessAborted(Promise.reject(new Error('failed')), stop.signal), { message: 'failed' })
  t.equal(await unlessAborted(Promise.resolve(2), undefined), 2)
  stop.abort()
})

test('a signal that aborts ends the wait with its reason, now or before', async t => {
  const stop = new AbortController()
  const waiting = unlessAborted(new Promise(() => {}), stop.signal)
  stop.abort(new Error('stopped'))
  await t.rejects(waiting, { message: 'stopped' })
  await t.rejects(unlessAborted(Promise.resolve(1), stop.signal), { message: 'stopped' })
})
