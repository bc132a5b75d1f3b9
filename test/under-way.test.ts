import t from 'tap'
import { UnderWay } from '../src/under-way.ts'

t.test('work that ends in time is waited for, and no other is taken', async t => {
  const underWay = new UnderWay()
  const { result, finish } = makeWork()
  const work = underWay.track(async () => await result)
  const drained = underWay.drain(60_000, 0)
  await t.rejects(underWay.track(async () => 'more'), { code: 'SERVICE_STOPPING' })
  finish('done')
  t.equal(await work, 'done')
  await drained
  t.equal(underWay.stopped.aborted, false)
})

t.test('work that does not stop when it is told to is given up, and what becomes of it later harms nobody', async t => {
  const underWay = new UnderWay()
  const { result, fail } = makeWork()
  const work = underWay.track(async () => await result)
  await Promise.all([underWay.drain(0, 20), t.rejects(work, { code: 'SERVICE_STOPPING' })])
  t.equal(underWay.stopped.aborted, true)
  fail(new Error('late'))
})

t.test('work that stops when it is told to has the time for it', async t => {
  const underWay = new UnderWay()
  const { result, finish } = makeWork()
  underWay.stopped.addEventListener('abort', () => { setImmediate(finish, 'stopped') })
  const work = underWay.track(async () => await result)
  await underWay.drain(0, 60_000)
  t.equal(await work, 'stopped')
})

/** Work that ends when the test says so. */
function makeWork () {
  let finish = (_text: string): void => {}
  let fail = (_error: Error): void => {}
  const result = new Promise<string>((resolve, reject) => {
    finish = resolve
    fail = reject
  })
  return { result, finish: (text: string) => { finish(text) }, fail: (error: Error) => { fail(error) } }
}
