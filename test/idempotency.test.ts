import { randomUUID } from 'node:crypto'
import t from 'tap'
import { KnownMessages } from '../src/idempotency.ts'
import { KEY_LIFE_MS } from '../src/message-key.ts'
import type { Reply } from '../src/reply.ts'
import { TurnEvents } from '../src/turn-events.ts'
import { TurnRun } from '../src/turn-run.ts'
import { makeGate } from './fixtures/gate.ts'
import { makeClock, makeSession } from './fixtures/sessions.ts'

const done: Reply = { session: makeSession(), status: 'completed', message: 'Done', approval: null, facts: { durationMs: 1 } }
const KEY = { hash: 'a', bodyHash: 'body' }

function startTurn (run: () => Promise<Reply> = async () => done, answer = '{}'): TurnRun {
  const format = { session: () => '{}', reply: () => answer, error: () => '{}' }
  return new TurnRun({ events: new TurnEvents({ id: randomUUID(), maxBytes: 1000 }), clientId: '', wantsTokens: false, format, run })
}

t.test('when the first of many is refused before it begins, the next one tries, and the others get what that comes to', async t => {
  const known = new KnownMessages({ maxBytes: 1_000_000, now: makeClock().now })
  const gate = makeGate()
  let runs = 0
  const run = async (): Promise<Reply> => {
    runs++
    await gate.opened
    if (runs === 1) throw new Error('The queue is full')
    return done
  }
  const opened = Array.from({ length: 3 }, async () => {
    const { turn, isRepeat } = await known.open(KEY, () => startTurn(run))
    return await turn.outcome.then(() => isRepeat ? 'repeat' : 'run', () => 'refused')
  })
  gate.open()
  t.same((await Promise.all(opened)).sort(), ['refused', 'repeat', 'run'])
  t.equal(runs, 2)
})

t.test('what is known is bounded: the oldest answers go, and no turn that runs', async t => {
  const clock = makeClock()
  const known = new KnownMessages({ maxBytes: 10_000, now: clock.now })
  const gate = makeGate()
  const { turn: running } = await known.open({ hash: 'running', bodyHash: undefined }, () => startTurn(async () => {
    await gate.opened
    return done
  }))
  for (let index = 0; index < 100; index++) {
    const { turn } = await known.open({ hash: String(index), bodyHash: undefined }, () => startTurn(undefined, 'x'.repeat(1000)))
    await turn.outcome
  }
  t.ok(known.size < 8, `${known.size} are known`)
  t.match(await known.open({ hash: '99', bodyHash: undefined }, startTurn), { isRepeat: true })
  t.match(await known.open({ hash: '0', bodyHash: undefined }, startTurn), { isRepeat: false })
  const again = known.open({ hash: 'running', bodyHash: undefined }, startTurn)
  gate.open()
  t.equal((await again).turn, running)
  clock.nowMs += KEY_LIFE_MS
  t.match(await known.open(KEY, startTurn), { isRepeat: false })
  t.equal(known.size, 1, 'what is too old has gone')
})

t.test('a message that waits for its turn has used its key: no repeat waits for that turn to begin', async t => {
  const known = new KnownMessages({ maxBytes: 1_000_000, now: makeClock().now })
  const gate = makeGate()
  const turn = startTurn(async () => {
    await gate.opened
    return done
  })
  await known.open(KEY, () => turn)
  turn.accept()
  t.match(await known.open(KEY, startTurn), { turn, isRepeat: true })
  await t.rejects(known.open({ ...KEY, bodyHash: 'other' }, startTurn), { code: 'IDEMPOTENCY_KEY_REUSED' })
  gate.open()
  await turn.outcome
})

t.test('another body with the same key is refused, unless the first was never taken', async t => {
  const known = new KnownMessages({ maxBytes: 1_000_000, now: makeClock().now })
  const { turn } = await known.open(KEY, () => startTurn(async () => { throw new Error('Refused') }))
  t.match(await known.open({ ...KEY, bodyHash: 'other' }, startTurn), { isRepeat: false })
  await t.rejects(turn.outcome)
  await t.rejects(known.open(KEY, startTurn), { code: 'IDEMPOTENCY_KEY_REUSED' })
})
