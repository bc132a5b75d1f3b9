import { randomUUID } from 'node:crypto'
import t from 'tap'
import { ServiceError } from '../src/errors.ts'
import { formatEventId, KeptTurns, parseEventId } from '../src/kept-turns.ts'
import type { Reply } from '../src/reply.ts'
import { TurnReader } from '../src/turn-events.ts'
import { TurnRun } from '../src/turn-run.ts'
import { makeGate } from './fixtures/gate.ts'
import { makeClock, makeSession } from './fixtures/sessions.ts'

const session = makeSession()
const format = { session: () => '{}', reply: () => '{}', error: () => '{}' }
const done: Reply = { session, status: 'completed', message: 'Done', approval: null, facts: { durationMs: 1 } }

function makeTurns (maxBytes = 1_000_000) {
  const clock = makeClock()
  const turns = new KeptTurns({ keepMs: 1000, maxTurnBytes: 10_000, maxBytes, now: clock.now, newId: randomUUID })
  /** A turn of so many tokens, that ends when the test says so. */
  const start = (tokens: number) => {
    const gate = makeGate()
    const turn = turns.start(events => new TurnRun({
      events,
      clientId: '',
      wantsTokens: true,
      format,
      run: async watch => {
        watch.began(session, '')
        for (let index = 0; index < tokens; index++) watch.happened({ type: 'token', text: 'x'.repeat(100) })
        await gate.opened
        return done
      }
    }))
    const end = async (): Promise<void> => {
      gate.open()
      await turn.outcome
    }
    return { turn, end, id: turn.events.id }
  }
  return { turns, clock, start }
}

t.test('a turn is found by its id, while it runs and for a while after', async t => {
  const { turns, clock, start } = makeTurns()
  const { turn, end, id } = start(3)
  clock.nowMs += 5000
  t.equal(turns.find(id), turn, 'a turn that runs is never too old')
  await end()
  clock.nowMs += 999
  t.equal(turns.find(id), turn)
  clock.nowMs += 1
  turns.dropOld()
  t.equal(turns.size, 0, 'although nobody asked for anything')
  t.equal(turns.find(id), undefined)
  t.equal(turns.bytes, 0, 'nothing of it is left')
})

t.test('all together keep no more than allowed: what ended first goes first, then the events of what has run longest', async t => {
  const { turns, start } = makeTurns(20_000)
  const [first, second] = [start(30), start(30)]
  await first.end()
  await second.end()
  t.ok(turns.find(first.id))
  const third = start(30)
  t.equal(turns.find(first.id), undefined)
  t.ok(turns.find(second.id))
  const running = [third, ...Array.from({ length: 8 }, () => start(30))]
  t.ok(turns.bytes <= 20_000, `${turns.bytes} bytes are kept`)
  t.equal(turns.find(second.id), undefined)
  t.equal(third.turn.events.read(1), undefined, 'its events have gone')
  t.ok(running.every(({ id }) => turns.find(id) !== undefined), 'no running turn is lost')
  await Promise.all(running.map(async ({ end }) => { await end() }))
  t.equal(third.turn.events.read(1)?.name, 'message', 'its end is there')
  t.ok(turns.bytes <= 20_000)
})

t.test('who is up to date misses nothing although all turns together are too large', async t => {
  const { turns, start } = makeTurns(100)
  const { turn, end } = start(0)
  const reader = new TurnReader(turn.events)
  const read: string[] = []
  const readOn = (): void => { for (let event = reader.next(); event !== undefined; event = reader.next()) read.push(event.name) }
  turn.events.follow(readOn)
  readOn()
  for (let index = 0; index < 3; index++) turn.happened({ type: 'token', text: 'x'.repeat(100) })
  t.same(read, ['session', 'token', 'token', 'token'])
  t.equal(turn.events.read(5), undefined, 'nothing of it is kept')
  await end()
  t.equal(read.at(-1), 'message')
  t.ok(turns.bytes <= 100)
})

t.test('a turn that fails is kept with its error', async t => {
  const { turns } = makeTurns()
  const turn = turns.start(events => new TurnRun({
    events, clientId: '', wantsTokens: false, format, run: async () => { throw new Error('Nobody foresaw this') }
  }))
  await t.rejects(turn.outcome, new ServiceError('INTERNAL'))
  await t.rejects(turn.begun, { code: 'INTERNAL' })
  t.equal(turns.find(turn.events.id)?.events.last?.name, 'error')
})

t.test('the id of an event tells turn and place, and nothing else is one', t => {
  const turnId = randomUUID()
  t.same(parseEventId(formatEventId(turnId, 12)), { turnId, position: 12 })
  for (const text of ['', turnId, `${turnId}:0`, `${turnId}:x`, `${turnId.toUpperCase()}:1`, `${'-'.repeat(36)}:1`, ` ${turnId}:1`]) {
    t.equal(parseEventId(text), undefined, text)
  }
  t.end()
})
