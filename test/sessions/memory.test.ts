import fc from 'fast-check'
import t from 'tap'
import { SessionTable } from '../../src/sessions/memory.ts'
import { compareActivity } from '../../src/sessions/order.ts'
import type { Session } from '../../src/sessions/session.ts'
import { makeClock, makeSession, START_MS } from '../fixtures/sessions.ts'

const TIMEOUT_MS = 1000

function makeTable (held = new Set<string>()): { table: SessionTable<null>, clock: ReturnType<typeof makeClock>, held: Set<string> } {
  const clock = makeClock()
  const locks = { isHeld: (id: string) => held.has(id), held: () => held }
  return { table: new SessionTable({ timeoutMs: TIMEOUT_MS, now: clock.now, locks }), clock, held }
}

const change = fc.record({
  id: fc.integer({ min: 0, max: 900 }).map(String),
  isRemoval: fc.integer({ min: 0, max: 4 }).map((number) => number === 0),
  stepMs: fc.integer({ min: -TIMEOUT_MS * 2, max: 0 }),
  userId: fc.constantFrom('telegram_1', 'telegram_2', 'telegram_3'),
  platform: fc.constantFrom('telegram', 'web'),
  threadId: fc.constantFrom('t-1', 't-2', 't-3'),
  isPending: fc.boolean()
})

t.test('after any changes, in any order of time, every read tells what a plain list of the sessions would', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(change, { maxLength: 2500, size: 'max' }), fc.uniqueArray(fc.integer({ min: 0, max: 900 }).map(String)), async (changes, heldIds) => {
    const { table, held } = makeTable(new Set(heldIds))
    const model = new Map<string, Session>()
    for (const { id, isRemoval, stepMs, isPending, ...fields } of changes) {
      const session = makeSession({ ...fields, sessionId: id, lastActivityMs: START_MS + stepMs, pendingApproval: isPending ? {} : null })
      if (isRemoval) { table.remove(id); model.delete(id) } else { table.put(session, null); model.set(id, session) }
    }
    const all = [...model.values()].sort(compareActivity)
    const live = all.filter((session) => session.lastActivityMs >= START_MS - TIMEOUT_MS || held.has(session.sessionId))
    const pending = live.filter(({ pendingApproval }) => pendingApproval !== null)
    t.strictSame([...table.silentSince(Infinity)], all)
    t.equal(table.size, all.length)
    t.strictSame([...table.silentSince(START_MS - 500)], all.filter(({ lastActivityMs }) => lastActivityMs < START_MS - 500))
    const { count, pendingApprovals, byPlatform } = table.count()
    t.strictSame([count, pendingApprovals], [live.length, pending.length])
    for (const platform of ['telegram', 'web']) t.equal(byPlatform[platform] ?? 0, live.filter((session) => session.platform === platform).length)
    t.strictSame(table.findByUser('telegram_1', 'web'),
      live.filter(({ userId, platform }) => userId === 'telegram_1' && platform === 'web').reverse())
    t.strictSame(table.findThreads(['t-1', 't-2', 't-9']),
      new Set(['t-1', 't-2'].filter((threadId) => live.some((session) => session.threadId === threadId))))
    const walked: Session[] = []
    let cursor: string | null = null
    do {
      const page = await table.list({ limit: 97, hasPendingApproval: true, ...(cursor === null ? {} : { cursor }) })
      t.equal(page.count, pending.length)
      walked.push(...page.sessions)
      cursor = page.nextCursor
    } while (cursor !== null)
    t.strictSame(walked, pending)
  }), { numRuns: 30 })
})

t.test('a cursor goes on where it was even when its session is gone', async (t) => {
  const { table } = makeTable()
  for (const sessionId of ['a', 'b', 'c', 'd']) table.put(makeSession({ sessionId }), null)
  const { nextCursor } = await table.list({ limit: 2 })
  table.remove('b')
  t.same((await table.list({ limit: 2, cursor: nextCursor ?? '' })).sessions.map(({ sessionId }) => sessionId), ['c', 'd'])
})

for (const limit of [0, -1, 1.5, NaN]) {
  t.test(`a page of ${limit} sessions is refused, saying what came`, async (t) => {
    await t.rejects(makeTable().table.list({ limit }), { code: 'REQUEST_INVALID', message: new RegExp(`limit.*${limit}`) })
  })
}

t.test('a count of a hundred thousand expired sessions looks at few of them, and at those whose turn runs', async (t) => {
  const { clock, table: counted, held } = makeTable(new Set(['s-1', 's-99999']))
  let looks = 0
  for (let index = 0; index < 100_000; index++) {
    counted.put(Object.defineProperty(makeSession({ sessionId: `s-${index}` }), 'platform', { get: () => { looks++; return 'web' } }), null)
  }
  looks = 0
  t.equal(counted.count().count, 100_000)
  t.equal(looks, 0)
  clock.nowMs += TIMEOUT_MS + 1
  t.same(counted.count(), { count: held.size, pendingApprovals: 0, byPlatform: { web: 2 } })
  t.ok(looks < 1000, `${looks} sessions were looked at`)
})
