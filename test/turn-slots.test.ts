import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { TurnSlots } from '../src/turn-slots.ts'
import { makeGate } from './fixtures/gate.ts'

const never = new AbortController().signal

/** A turn that runs until it is told to end, and what came before and after it. */
function start (slots: TurnSlots, stop = never) {
  const begun = makeGate()
  const end = makeGate()
  let hasBegun = false
  const outcome = slots.run(stop, async () => {
    hasBegun = true
    begun.open()
    await end.opened
    return 'done'
  })
  // Looked at later, or not at all.
  outcome.catch(() => {})
  return { begun: begun.opened, end: end.open, outcome, hasBegun: () => hasBegun }
}

t.test('no more turns run at once than there are slots, and the others follow in the order in which they came', async t => {
  const slots = new TurnSlots({ maxRunning: 2 })
  const turns = [1, 2, 3, 4].map(() => start(slots))
  await setImmediate()
  t.same(turns.map(turn => turn.hasBegun()), [true, true, false, false])
  t.same(slots.load, { running: 2, waiting: 2 })
  turns[1]?.end()
  await turns[2]?.begun
  t.same(turns.map(turn => turn.hasBegun()), [true, true, true, false])
  turns[0]?.end()
  await turns[3]?.begun
  for (const turn of turns) turn.end()
  t.same(await Promise.all(turns.map(async turn => await turn.outcome)), ['done', 'done', 'done', 'done'])
  t.same(slots.load, { running: 0, waiting: 0 })
})

t.test('who comes when a slot has been passed on does not overtake', async t => {
  const slots = new TurnSlots({ maxRunning: 1 })
  const [first, second] = [start(slots), start(slots)]
  first.end()
  await first.outcome
  const third = start(slots)
  await second.begun
  t.notOk(third.hasBegun())
  second.end()
  await third.begun
  third.end()
  await third.outcome
})

t.test('too many who wait are refused at once, with a time after which to try again', async t => {
  const slots = new TurnSlots({ maxRunning: 1, maxWaiting: 1 })
  const [running, waiting, refused] = [start(slots), start(slots), start(slots)]
  await t.rejects(refused.outcome, { code: 'OVERLOADED', statusCode: 503, retryAfterSeconds: 5 })
  t.notOk(refused.hasBegun())
  running.end()
  waiting.end()
  t.equal(await waiting.outcome, 'done')
  t.same(slots.load, { running: 0, waiting: 0 })
})

t.test('without a word four times those that run may wait', async t => {
  const slots = new TurnSlots({ maxRunning: 2 })
  const turns = Array.from({ length: 11 }, () => start(slots))
  await t.rejects(async () => await turns[10]?.outcome, { code: 'OVERLOADED' })
  t.same(slots.load, { running: 2, waiting: 8 })
  for (const turn of turns) turn.end()
  await Promise.allSettled(turns.map(turn => turn.outcome))
})

t.test('who has waited long enough is refused, and is not run later', async t => {
  const slots = new TurnSlots({ maxRunning: 1, maxWaitMs: 1 })
  const running = start(slots)
  const waiting = start(slots)
  await t.rejects(waiting.outcome, { code: 'OVERLOADED' })
  t.same(slots.load, { running: 1, waiting: 0 })
  running.end()
  await running.outcome
  t.notOk(waiting.hasBegun())
  t.same(slots.load, { running: 0, waiting: 0 })
})

t.test('a wait ends with the reason of what ends it, at once, and the others keep their order', async t => {
  const slots = new TurnSlots({ maxRunning: 1 })
  const running = start(slots)
  const stop = new AbortController()
  const leaving = start(slots, stop.signal)
  const staying = start(slots)
  stop.abort(new Error('the end'))
  await t.rejects(leaving.outcome, { message: 'the end' })
  t.same(slots.load, { running: 1, waiting: 1 })
  await t.rejects(start(slots, stop.signal).outcome, { message: 'the end' }, 'nor does one begin that has ended already')
  running.end()
  await staying.begun
  t.notOk(leaving.hasBegun())
  staying.end()
  await staying.outcome
})

t.test('a turn that ends between its admission and its start gives the slot back', async t => {
  const slots = new TurnSlots({ maxRunning: 1 })
  const running = start(slots)
  const stop = new AbortController()
  const next = start(slots, stop.signal)
  running.end()
  await running.outcome
  stop.abort(new Error('the end'))
  await next.begun
  next.end()
  await next.outcome
  t.same(slots.load, { running: 0, waiting: 0 })
})

t.test('a turn that fails gives its slot back', async t => {
  const slots = new TurnSlots({ maxRunning: 1 })
  await t.rejects(slots.run(never, async () => { throw new Error('failed') }), { message: 'failed' })
  t.equal(await slots.run(never, async () => 'next'), 'next')
  t.same(slots.load, { running: 0, waiting: 0 })
})
