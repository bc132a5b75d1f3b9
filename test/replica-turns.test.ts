import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Conversation } from '../src/conversation.ts'
import { CsvSessionStore } from '../src/sessions/csv/store.ts'
import { TurnSlots } from '../src/turn-slots.ts'
import { AgentBench } from './fixtures/agent.ts'
import { makeFolder } from './fixtures/folder.ts'
import { makeGate } from './fixtures/gate.ts'
import { LeasedStore } from './fixtures/leased-store.ts'
import { makeLog } from './fixtures/sessions.ts'

type Replica = ReturnType<Awaited<ReturnType<typeof makeReplicas>>['connect']>

/** Replicas on one store, and on the conversations of one agent. */
async function makeReplicas (t: Test, { maxRunning = 10 } = {}) {
  const store = new CsvSessionStore({ path: join(makeFolder(t), 'sessions.csv'), fsync: 'never', timeoutMs: 3_600_000, log: makeLog() })
  await store.open()
  t.after(() => store.close())
  const leased = new LeasedStore(store)
  const bench = await AgentBench.open(t)
  const log = makeLog()
  const connect = () => {
    const own = leased.connect()
    const conversation = new Conversation({
      store: own,
      agent: bench.agent,
      slots: new TurnSlots({ maxRunning }),
      pendingText: 'repeat',
      agentTimeoutMs: 60_000,
      approvalTimeoutMs: undefined,
      maxQueuedTurns: 20,
      keepConversations: false
    })
    const say = async (message: string, more: { key?: string, sessionId?: string } = {}) => {
      const request = { userId: 'ann', message, platform: undefined, metadata: undefined, sessionId: more.sessionId, approvalId: undefined }
      const key = more.key === undefined ? undefined : { hash: more.key.padEnd(64, '0'), bodyHash: undefined }
      return await conversation.chat(request, log, { key })
    }
    /** The same, once it has its place in the queue. */
    const queue = async (message: string, more: { sessionId?: string } = {}) => {
      const before = conversation.waitingCount
      const answer = say(message, more)
      answer.catch(() => {})
      while (conversation.waitingCount === before) await new Promise(resolve => { setImmediate(resolve) })
      return { answer }
    }
    return { conversation, store: own, say, queue }
  }
  const texts = async (sessionId: string): Promise<string[]> => {
    const threadId = (await store.get(sessionId))?.threadId ?? ''
    return (await bench.agent.history(threadId)).filter(({ role }) => role === 'user').map(({ content }) => content)
  }
  return { leased, bench, log, connect, texts }
}

/** Holds the model at a message with this text. */
function hold (bench: AgentBench, text: string) {
  const asked = makeGate()
  const answered = makeGate()
  bench.model.hook = async messages => {
    if (messages.at(-1)?.text !== text) return
    asked.open()
    await answered.opened
  }
  return { asked, answered }
}

async function until (isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(resolve => { setImmediate(resolve) })
}

for (const [name, end] of [
  ['/new', async ({ say }: Replica) => { await say('/new') }],
  ['its end', async ({ conversation }: Replica, sessionId: string) => { await conversation.end(sessionId, makeLog()) }]
] as const) {
  t.test(`who waits for a session at two replicas goes on with the next one after ${name} at one of them, each once`, { timeout: 60_000 }, async t => {
    const { bench, connect, leased, texts } = await makeReplicas(t)
    const [one, two] = [connect(), connect()]
    const { session: { sessionId } } = await one.say('Hello')
    const { asked, answered } = hold(bench, 'Slow')
    const slow = one.say('Slow')
    await asked.opened
    const ending = end(one, sessionId)
    await until(() => one.conversation.waitingCount === 1)
    const waiting = [await two.queue('A'), await one.queue('B'), await two.queue('C'), await one.queue('D')]
    const named = await two.queue('Named', { sessionId })
    answered.open()
    await Promise.all([slow, ending])
    const replies = await Promise.all(waiting.map(async ({ answer }) => await answer))
    await t.rejects(named.answer, { code: 'SESSION_NOT_FOUND' }, 'a message that names it ends with it')
    const [next] = replies
    t.equal(new Set(replies.map(({ session }) => session.sessionId)).size, 1)
    t.not(next?.session.sessionId, sessionId)
    t.same(await texts(next?.session.sessionId ?? ''), ['A', 'B', 'C', 'D'], 'in the order in which they came')
    await until(() => leased.held.length === 0)
    t.equal((await two.say('E')).session.sessionId, next?.session.sessionId)
  })
}

t.test('who comes after /new to the replica that ran it comes behind those who wait there', async t => {
  const { bench, connect, texts } = await makeReplicas(t)
  const one = connect()
  await one.say('Hello')
  const { asked, answered } = hold(bench, 'Slow')
  const slow = one.say('Slow')
  await asked.opened
  const fresh = await one.queue('/new')
  const waiting = [await one.queue('A'), await one.queue('B')]
  answered.open()
  const held = hold(bench, 'A')
  await Promise.all([slow, fresh.answer])
  await held.asked.opened
  waiting.push(await one.queue('C'))
  held.answered.open()
  const replies = await Promise.all(waiting.map(async ({ answer }) => await answer))
  t.same(await texts(replies[0]?.session.sessionId ?? ''), ['A', 'B', 'C'])
})

t.test('one /new with a key, sent to two replicas, makes one session', async t => {
  const { connect } = await makeReplicas(t)
  const [one, two] = [connect(), connect()]
  await one.say('Hello')
  const replies = await Promise.all([one.say('/new', { key: 'a' }), two.say('/new', { key: 'a' })])
  t.equal(replies[0].session.sessionId, replies[1].session.sessionId)
  t.equal(replies.filter(({ isReplay }) => isReplay === true).length, 1)
})

t.test('the first message of a person, sent to two replicas with one key, is one turn in one session', async t => {
  const { connect, texts } = await makeReplicas(t)
  const replies = await Promise.all([connect(), connect(), connect()].map(async ({ say }) => await say('Hello', { key: 'a' })))
  t.equal(new Set(replies.map(({ session }) => session.sessionId)).size, 1)
  t.equal(replies.filter(({ isReplay }) => isReplay === true).length, 2)
  t.same(await texts(replies[0]?.session.sessionId ?? ''), ['Hello'])
})

t.test('a turn is cancelled from any replica, also in a session that it moved on to', async t => {
  const { bench, connect } = await makeReplicas(t)
  const [one, two] = [connect(), connect()]
  const { session: { sessionId } } = await one.say('Hello')
  await t.rejects(two.conversation.cancel(sessionId), { code: 'TURN_NOT_RUNNING' })
  const first = hold(bench, 'Slow')
  const slow = t.rejects(one.say('Slow'), { code: 'TURN_CANCELLED', session: { sessionId } })
  await first.asked.opened
  const fresh = await two.queue('/new')
  const moved = await one.queue('Moved')
  const cancelled = two.conversation.cancel(sessionId)
  first.answered.open()
  const second = hold(bench, 'Moved')
  await Promise.all([slow, cancelled])
  const { session: next } = await fresh.answer
  await second.asked.opened
  const again = two.conversation.cancel(next.sessionId)
  second.answered.open()
  await again
  await t.rejects(moved.answer, { code: 'TURN_CANCELLED', session: { sessionId: next.sessionId } })
})

t.test('a turn whose lease is lost ends with 503 and saves nothing, and the next one goes on', async t => {
  const { bench, connect, leased, log } = await makeReplicas(t)
  const [one, two] = [connect(), connect()]
  const { session: { sessionId } } = await one.say('Hello')
  const { asked, answered } = hold(bench, 'Paused')
  const paused = t.rejects(one.say('Paused'), { code: 'TURN_TAKEN_OVER', statusCode: 503, retryAfterSeconds: 5, session: { sessionId } })
  await asked.opened
  const next = await two.queue('Next')
  const lines = log.lines.length
  leased.lose(sessionId)
  answered.open()
  await paused
  t.match(await next.answer, { status: 'completed' })
  t.equal(leased.refusedCount, 0, 'it did not even try')
  t.notOk(log.lines.slice(lines).some(line => line.startsWith('error')), 'which is no error of its own')
})

t.test('a lease that is lost while its turn waits for a slot costs the turn, and no slot', async t => {
  const { bench, connect, leased } = await makeReplicas(t, { maxRunning: 1 })
  const one = connect()
  const { session: { sessionId } } = await one.say('Hello')
  const { asked, answered } = hold(bench, 'Slow')
  const other = { userId: 'bob', message: 'Slow', platform: undefined, metadata: undefined, sessionId: undefined, approvalId: undefined }
  const slow = one.conversation.chat(other, makeLog())
  await asked.opened
  const waiting = await one.queue('Waits')
  await until(() => leased.held.includes(sessionId))
  leased.lose(sessionId)
  await t.rejects(waiting.answer, { code: 'TURN_TAKEN_OVER', session: { sessionId } })
  t.equal(one.conversation.waitingCount, 0)
  answered.open()
  await slow
  t.equal((await one.say('Again')).status, 'completed')
})

t.test('draining waits until every session is let go of: nobody is to wait for a replica that has gone', async t => {
  const { connect, leased } = await makeReplicas(t)
  const { conversation, say } = connect()
  const { opened, open } = makeGate()
  leased.beforeRelease = async () => { await opened }
  await say('Hello')
  const events: string[] = []
  const drained = conversation.drain(60_000).then(() => { events.push('drained') })
  await new Promise(resolve => { setImmediate(resolve) })
  events.push('released')
  open()
  await drained
  t.same(events, ['released', 'drained'])
  t.same(leased.held, [])
})
