import { randomUUID } from 'node:crypto'
import { mock } from 'node:test'
import t from 'tap'
import { ServiceError } from '../src/errors.ts'
import { formatEventId } from '../src/kept-turns.ts'
import type { Reply } from '../src/reply.ts'
import { SharedTurns, type SharedTurnsOptions } from '../src/shared-turns.ts'
import { TurnDesk } from '../src/turn-desk.ts'
import { TurnReader } from '../src/turn-events.ts'
import { runUnderLease } from '../src/turn-lease.ts'
import type { TurnRun } from '../src/turn-run.ts'
import type { TurnWatch } from '../src/turn-watch.ts'
import { makeGate, type Gate } from './fixtures/gate.ts'
import { TestLease } from './fixtures/lease.ts'
import { makeClock, makeLog, makeSession } from './fixtures/sessions.ts'
import { MemoryTurnLog } from './fixtures/turn-log.ts'

const session = makeSession()
const done: Reply = { session, status: 'completed', message: 'Done', approval: null, facts: { durationMs: 1 } }
const format = {
  session: () => '{}',
  reply: ({ message }: Reply) => JSON.stringify({ message }),
  error: ({ code, message, statusCode }: ServiceError) => JSON.stringify({ code, message, statusCode })
}
const ann = { clientId: 'key', userId: 'telegram_1', platform: undefined, sessionId: undefined, formatError: format.error }

type Replica = ReturnType<typeof makeReplicas>['first']

/** Two replicas that share a log, and whose sessions a test may end. */
function makeReplicas (more: Partial<SharedTurnsOptions> = {}) {
  const turnLog = new MemoryTurnLog()
  const lease = new TestLease()
  turnLog.leases.add(lease.id)
  const ended = new Set<string>()
  const log = makeLog()
  const hasSession = async (sessionId: string): Promise<boolean> => !ended.has(sessionId)
  const make = () => {
    const shared = new SharedTurns({ turnLog, hasSession, log, batchMs: 1, retryMs: 1, lostMs: 1, unreadableMs: 1, ...more })
    const bounds = { keepMs: 1000, maxTurnBytes: 100_000, maxBytes: 1_000_000, maxAnswerBytes: 100_000 }
    return new TurnDesk({ ...bounds, now: makeClock().now, newId: randomUUID, shared })
  }
  return { first: make(), second: make(), turnLog, lease, ended, log }
}

interface Asked {
  readonly key?: string
  readonly wantsTokens?: boolean
}

async function open (desk: Replica, run: (watch: TurnWatch) => Promise<Reply>, { key, wantsTokens = true }: Asked = {}) {
  const { turn, isRepeat } = await desk.open(key === undefined ? undefined : { hash: key, bodyHash: undefined },
    {
      clientId: 'key',
      wantsTokens,
      format,
      run: async watch => {
        // As every turn: none tells anything at once.
        await Promise.resolve()
        return await run(watch)
      }
    })
  turn.outcome.catch(() => {})
  return { id: turn.events.id, turn, isRepeat }
}

/** Everything that a reader gets, to the end. */
async function readAll ({ events }: Pick<TurnRun, 'events'>, position = 0): Promise<string[]> {
  const reader = new TurnReader(events, position)
  const read: string[] = []
  for (;;) {
    for (let event = reader.next(); event !== undefined; event = reader.next()) read.push(`${event.position} ${event.name}`)
    if (reader.isDone) return read
    await new Promise<void>(resolve => {
      const unfollow = events.follow(() => {
        unfollow()
        resolve()
      })
    })
  }
}

/** Resolves when the log has been told so many events. */
async function untilLogged (turnLog: MemoryTurnLog, count: number): Promise<void> {
  while (turnLog.batches.flat().length < count) await new Promise(resolve => setTimeout(resolve, 1))
}

function tell (watch: TurnWatch, lease: TestLease, tokens: number): void {
  runUnderLease(lease, () => {
    watch.began(session, '')
    for (let index = 0; index < tokens; index++) watch.happened({ type: 'token', text: 'x' })
  })
}

/** A turn that has told one token, and ends when `end` opens. */
async function openHeld (desk: Replica, turnLog: MemoryTurnLog, lease: TestLease): Promise<{ id: string, end: Gate }> {
  const end = makeGate()
  const { id } = await open(desk, async watch => {
    tell(watch, lease, 1)
    await end.opened
    return done
  })
  await untilLogged(turnLog, 2)
  return { id, end }
}

t.test('a turn that runs at one replica is followed at another, from any event to the last, by whoever owns it', async t => {
  const { first, second, turnLog, lease } = makeReplicas()
  const more = makeGate()
  const { id } = await open(first, async watch => {
    tell(watch, lease, 3)
    await more.opened
    tell(watch, lease, 0)
    watch.happened({ type: 'tool_call', id: 'a', name: 'tool', args: {} })
    return done
  })
  await untilLogged(turnLog, 4)
  await t.rejects(second.find(formatEventId(id, 1), { ...ann, clientId: 'another' }), { code: 'STREAM_GONE' })
  await t.rejects(second.find(formatEventId(id, 1), { ...ann, userId: 'telegram_2' }), { code: 'STREAM_GONE' })
  await t.rejects(second.find(formatEventId(randomUUID(), 1), ann), { code: 'STREAM_GONE' })
  const [early, ahead] = await Promise.all([second.find(formatEventId(id, 2), ann), second.find(formatEventId(id, 5), ann)])
  t.equal(early.turn, ahead.turn, 'all who follow it read it once')
  const reading = [readAll(early.turn, early.position), readAll(ahead.turn, ahead.position)]
  t.equal(turnLog.countFollowers(id), 1)
  more.open()
  t.same(await Promise.all(reading), [['3 token', '4 token', '5 tool_call', '6 message'], ['6 message']])
  t.equal(await early.turn.outcome, '{"message":"Done"}', 'as JSON, too')
  t.equal(turnLog.countFollowers(id), 0)
  const late = await second.find(formatEventId(id, 6), ann)
  t.same(await readAll(late.turn, late.position), ['6 message'], 'every stream has an end')
})

t.test('events go in batches, the last at once, and only of turns that are streamed', async t => {
  const { first, turnLog, lease } = makeReplicas({ batchMs: 60_000 })
  const streamed = await open(first, async watch => {
    tell(watch, lease, 50)
    return done
  })
  await open(first, async watch => {
    tell(watch, lease, 1)
    return done
  }, { key: 'k', wantsTokens: false })
  await streamed.turn.outcome
  await first.close()
  t.same(turnLog.batches.map(batch => [batch[0], batch.at(-1)]), [[1, 52]])
  t.same(turnLog.turnIds, [streamed.id])
})

t.test('a turn that waits for minutes before it begins is written all the same', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => { mock.timers.reset() })
  const { first, turnLog, lease } = makeReplicas()
  const come = makeGate()
  const { turn } = await open(first, async watch => {
    await come.opened
    tell(watch, lease, 1)
    return done
  })
  for (let minute = 0; minute < 3; minute++) {
    mock.timers.tick(60_000)
    await new Promise(resolve => setImmediate(resolve))
    mock.timers.tick(1)
    await new Promise(resolve => setImmediate(resolve))
  }
  come.open()
  await turn.outcome
  await first.close()
  t.same(turnLog.batches.flat(), [1, 2, 3])
})

t.test('a turn whose replica died is told as cut off; one that fails, as it failed', async t => {
  const { first, second, turnLog, lease } = makeReplicas()
  const { id } = await open(first, async watch => {
    tell(watch, lease, 2)
    return await new Promise(() => {})
  })
  await untilLogged(turnLog, 3)
  const { turn } = await second.find(formatEventId(id, 2), ann)
  const outcome = t.rejects(turn.outcome, { code: 'TURN_TAKEN_OVER', retryAfterSeconds: 5, session: { sessionId: session.sessionId } })
  const reading = readAll(turn, 9)
  turnLog.leases.clear()
  turnLog.wake(id)
  t.same(await reading, ['4 error'], 'also who knows more than was written')
  await outcome

  const failed = await open(first, async watch => {
    tell(watch, lease, 1)
    throw new ServiceError('AGENT_TIMEOUT')
  })
  await first.close()
  const { turn: told } = await second.find(formatEventId(failed.id, 2), ann)
  t.same(await readAll(told, 2), ['3 error'])
  await t.rejects(told.outcome, { code: 'AGENT_TIMEOUT', message: 'The agent took too long to answer. Please try again' })
})

t.test('a turn that ends without a lease is all there, and not waited for', async t => {
  const { first, second } = makeReplicas({ lostMs: 60_000 })
  const { id } = await open(first, async () => done)
  await first.close()
  const { turn } = await second.find(formatEventId(id, 1), ann)
  t.same(await readAll(turn, 1), ['2 token', '3 message'])
})

t.test('a log that fails costs the turn nothing, is said once a turn, and gets every event when it works again', async t => {
  const { first, second, turnLog, lease, log } = makeReplicas()
  turnLog.failure = new Error('Gone')
  const more = makeGate()
  const { id, turn } = await open(first, async watch => {
    tell(watch, lease, 3)
    await more.opened
    return done
  })
  await log.waitFor('could not be kept for other replicas')
  await t.rejects(second.find(formatEventId(id, 1), ann), { message: 'Gone' }, 'whoever asks is not told that there is nothing')
  turnLog.failure = undefined
  await untilLogged(turnLog, 4)
  more.open()
  t.equal(await turn.outcome, '{"message":"Done"}')
  await first.close()
  t.same(turnLog.batches.flat(), [1, 2, 3, 4, 5])
  t.equal(log.lines.length, 1)
})

t.test('at a log that works no more a turn is given up, and closing does not wait for it', async t => {
  const { first, turnLog, lease } = makeReplicas()
  turnLog.failure = new Error('Gone')
  const { turn } = await open(first, async watch => {
    tell(watch, lease, 1)
    return done
  })
  await turn.outcome
  await first.close()
  t.same(turnLog.batches, [])
})

t.test('who follows a turn while its log cannot be read is told before long, and may come again', async t => {
  const { first, second, turnLog, lease } = makeReplicas()
  const end = makeGate()
  const { id, turn } = await open(first, async watch => {
    tell(watch, lease, 1)
    await end.opened
    return done
  })
  await untilLogged(turnLog, 2)
  const followed = await second.find(formatEventId(id, 2), ann)
  turnLog.failure = new Error('Gone')
  const outcome = t.rejects(followed.turn.outcome, { code: 'STORE_UNAVAILABLE' })
  const reading = readAll(followed.turn, 2)
  turnLog.wake(id)
  t.same(await reading, ['3 error'])
  await outcome
  turnLog.failure = undefined
  const again = await second.find(formatEventId(id, 2), ann)
  end.open()
  await turn.outcome
  t.same(await readAll(again.turn, 2), ['3 message'])
})

t.test('who follows a turn that the log forgot, as a crash of its server makes it, is told what is written from then on', async t => {
  const { first, second, turnLog, lease } = makeReplicas({ lostMs: 60_000 })
  const { id, end } = await openHeld(first, turnLog, lease)
  const followed = await second.find(formatEventId(id, 2), ann)
  const reading = readAll(followed.turn, 2)
  await turnLog.forget([session.sessionId])
  turnLog.wake(id)
  await new Promise(resolve => setImmediate(resolve))
  end.open()
  t.same(await reading, ['3 message'])
  t.equal(await followed.turn.outcome, '{"message":"Done"}')
})

t.test('when the replica that follows stops, its events end without a last one, and who waits is told', async t => {
  const { first, second, turnLog, lease } = makeReplicas()
  const { id, end } = await openHeld(first, turnLog, lease)
  const { turn } = await second.find(formatEventId(id, 2), ann)
  second.stop()
  await t.rejects(turn.outcome, { code: 'SERVICE_STOPPING' })
  t.equal(turn.events.last, undefined)
  t.equal(turnLog.countFollowers(id), 0)
  await t.rejects(second.find(formatEventId(randomUUID(), 2), ann), { code: 'SERVICE_STOPPING' })
  end.open()
})

t.test('what was said in a session that ended at any replica is given to nobody any more', async t => {
  const { first, second, turnLog, lease, ended } = makeReplicas()
  const run = async (watch: TurnWatch): Promise<Reply> => {
    tell(watch, lease, 1)
    return done
  }
  const { id, turn } = await open(first, run, { key: 'k' })
  await turn.outcome
  t.match(await open(first, run, { key: 'k' }), { isRepeat: true })
  await untilLogged(turnLog, 3)
  t.ok(await second.find(formatEventId(id, 1), ann))
  ended.add(session.sessionId)
  for (const desk of [first, second]) await t.rejects(desk.find(formatEventId(id, 1), ann), { code: 'STREAM_GONE' })
  t.match(await open(first, run, { key: 'k' }), { isRepeat: false })
  first.forget([session.sessionId])
  await first.close()
  t.notOk(turnLog.turnIds.includes(id), 'nor is it in the log')
})
