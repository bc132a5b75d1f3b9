import t from 'tap'
import { TurnEvents, TurnReader, type TurnEvent } from '../src/turn-events.ts'

const ID = '00000000-0000-4000-8000-000000000000'

function makeEvents (maxBytes = 1_000_000): TurnEvents {
  return new TurnEvents({ id: ID, maxBytes })
}

function readAll (reader: TurnReader): string[] {
  const events: TurnEvent[] = []
  for (let event = reader.next(); event !== undefined; event = reader.next()) events.push(event)
  return events.map(({ name, position }) => `${name} ${position}`)
}

t.test('every reader reads at a pace of their own, and is told of what comes', async t => {
  const events = makeEvents()
  let woken = 0
  const unfollow = events.follow(() => { woken++ })
  const early = new TurnReader(events)
  t.same(readAll(early), [])
  events.add('session', '{}')
  events.add('token', '1')
  t.same(readAll(early), ['session 1', 'token 2'])
  events.add('token', '2')
  events.add('message', '{}')
  t.notOk(early.isDone)
  t.same(readAll(early), ['token 3', 'message 4'])
  t.ok(early.isDone)
  t.same(readAll(new TurnReader(events)), ['session 1', 'token 2', 'token 3', 'message 4'])
  t.same(readAll(new TurnReader(events, 2)), ['token 3', 'message 4'])
  t.same(readAll(new TurnReader(events, 0, true)), ['session 1', 'message 4'])
  t.equal(woken, 4)
  unfollow()
  t.throws(() => { events.add('token', '3') }, 'a turn ends once')
})

t.test('a reader who missed events is given the end alone, and waits for it', async t => {
  const events = makeEvents(1000)
  events.add('session', '{}')
  const slow = new TurnReader(events)
  t.same(slow.next()?.name, 'session')
  for (let index = 0; index < 100; index++) events.add('token', 'x'.repeat(100))
  t.same(readAll(slow), [], 'no answer with a hole in it')
  t.ok(events.bytes < 1400, `${events.bytes} bytes are kept`)
  t.same(readAll(new TurnReader(events, 98)), ['token 99', 'token 100', 'token 101'], 'what is left is there for who is near')
  events.add('message', 'y'.repeat(5000))
  t.same(readAll(slow), ['message 102'])
  t.ok(slow.isDone)
})

t.test('a reader who is up to date misses nothing, however large', async t => {
  const events = makeEvents(1000)
  const reader = new TurnReader(events)
  const read: string[] = []
  events.follow(() => { read.push(...readAll(reader)) })
  events.add('session', '{}')
  events.add('tool_call', '{}')
  events.add('tool_result', 'x'.repeat(2000))
  t.ok(events.bytes < 1000, 'it is not kept')
  events.add('token', '{}')
  events.add('message', '{}')
  t.same(read, ['session 1', 'tool_call 2', 'tool_result 3', 'token 4', 'message 5'])
})

t.test('what is kept is counted as it lies in memory, up and down', async t => {
  let bytes = 0
  const events = new TurnEvents({ id: ID, maxBytes: 2000, onChange: change => { bytes += change } })
  for (const name of ['session', ...Array.from({ length: 50 }, () => 'token' as const), 'error'] as const) {
    events.add(name, name === 'error' ? '€'.repeat(50) : 'ü'.repeat(50))
    t.equal(bytes, events.bytes)
  }
  events.evict()
  t.equal(bytes, events.bytes)
  t.equal(bytes, (50 + 128) + (100 + 128), 'the first and the last stay')
  t.equal(events.abridge().bytes, bytes)
})

t.test('a turn that failed before it began has its error alone', async t => {
  const events = makeEvents()
  events.add('error', '{}')
  t.same(readAll(new TurnReader(events)), ['error 1'])
  t.same(readAll(new TurnReader(events, 77)), ['error 1'], 'whoever asks again is told the end again')
})
