import t from 'tap'
import { SessionTable } from '../../src/sessions/memory.ts'
import { makeClock, makeSession, START_MS } from '../fixtures/sessions.ts'

const TIMEOUT_MS = 60_000

function makeTable () {
  const clock = makeClock()
  const table = new SessionTable<null>({ timeoutMs: TIMEOUT_MS, now: clock.now, locks: { isHeld: () => false, held: () => [] } })
  const ask = (sessionId: string, askedMs = clock.nowMs): void => {
    table.put(makeSession({ sessionId, lastActivityMs: clock.nowMs, pendingApproval: { requested_at: new Date(askedMs).toISOString() } }), null)
  }
  const answer = (sessionId: string): void => { table.put(makeSession({ sessionId, lastActivityMs: clock.nowMs }), null) }
  return { table, clock, ask, answer }
}

t.test('the oldest question is the one that was asked first and waits still', async t => {
  const { table, clock, ask, answer } = makeTable()
  t.equal(table.findOldestQuestion(), undefined)
  for (const id of ['a', 'b', 'c']) {
    ask(id)
    clock.nowMs += 10
  }
  t.equal(table.findOldestQuestion(), START_MS)
  answer('a')
  t.equal(table.findOldestQuestion(), START_MS + 10)
  table.remove('b')
  t.equal(table.findOldestQuestion(), START_MS + 20)
  ask('c')
  t.equal(table.findOldestQuestion(), START_MS + 30, 'another question of the same session is a new one')
  answer('c')
  t.equal(table.findOldestQuestion(), undefined)
})

t.test('a question whose answer is under way, or that is repeated, keeps its age', async t => {
  const { table, clock, ask } = makeTable()
  ask('a')
  clock.nowMs += 10
  ask('b')
  clock.nowMs += 10
  ask('a', START_MS)
  t.equal(table.findOldestQuestion(), START_MS)
})

t.test('a question of a session that has expired waits no more, swept or not', async t => {
  const { table, clock, ask } = makeTable()
  ask('a')
  clock.nowMs += TIMEOUT_MS / 2
  ask('b')
  clock.nowMs += TIMEOUT_MS / 2 + 1
  t.equal(table.findOldestQuestion(), START_MS + TIMEOUT_MS / 2)
})

t.test('questions that come out of a file in any order are put in theirs', async t => {
  const { table, ask } = makeTable()
  for (const [id, agoMs] of [['a', 10], ['b', 30], ['c', 20]] as const) ask(id, START_MS - agoMs)
  table.sortQuestions()
  t.equal(table.findOldestQuestion(), START_MS - 30)
})

t.test('a question that does not say when it was asked counts from the last activity', async t => {
  const { table } = makeTable()
  table.put(makeSession({ pendingApproval: { tool: 'x', requested_at: 'yesterday' } }), null)
  t.equal(table.findOldestQuestion(), START_MS)
})
