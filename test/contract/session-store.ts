import type { Test } from 'tap'
import { ServiceError } from '../../src/errors.ts'
import type { Session } from '../../src/sessions/session.ts'
import type { LoadReport, SessionStore } from '../../src/sessions/store.ts'
import { runUnderLease } from '../../src/turn-lease.ts'
import { makeClock, makeSession, START_MS, type Clock } from '../fixtures/sessions.ts'

/** What a store under test is made with. */
export interface StoreSettings {
  readonly timeoutMs: number
  readonly now: () => number
}

/** Makes a way to open the data of one test: each call of it is a new store on the same data. */
export type MakeStore = (t: Test, settings: StoreSettings) => Promise<() => SessionStore>

const TIMEOUT_MS = 60_000

/** Every promise of `SessionStore`, each a test. */
export function testSessionStore (t: Test, makeStore: MakeStore): void {
  interface Setting {
    store: SessionStore
    clock: Clock
    reopen: () => Promise<SessionStore>
    /** Of the latest open. */
    report: () => LoadReport | undefined
  }

  const setUp = async (t: Test): Promise<Setting> => {
    const clock = makeClock()
    const connect = await makeStore(t, { timeoutMs: TIMEOUT_MS, now: clock.now })
    let report: LoadReport | undefined
    const openNext = async (): Promise<SessionStore> => {
      const next = connect()
      t.after(() => next.close())
      report = await next.open()
      return next
    }
    const store = await openNext()
    return { store, clock, reopen: async () => { await store.close(); return await openNext() }, report: () => report }
  }
  const refusal = (code: string): { name: string, code: string } => ({ name: 'ServiceError', code })
  const ids = (sessions: readonly Session[]): string[] => sessions.map(({ sessionId }) => sessionId)
  const touch = (lastActivityMs: number) => (session: Session): Session => ({ ...session, lastActivityMs })

  t.test('a new store is empty, can save, and says what kind it is', async (t) => {
    const { store } = await setUp(t)
    t.same(await store.count(), { count: 0, pendingApprovals: 0, byPlatform: {} })
    t.same(await store.list({ limit: 10 }), { sessions: [], count: 0, nextCursor: null })
    t.match(store.status(), { kind: String, canSave: true })
  })

  t.test('a session comes back from the next run as it was', async (t) => {
    const { store, reopen } = await setUp(t)
    const session = makeSession({
      userId: 'slack_U0ÜÑÍ, "quoted" 🚀',
      createdAtMs: START_MS - 5,
      pendingApproval: { approval_id: 'a', text: 'line one\nline two\r\n"three"\u2028four\u0000\ud800' },
      metadata: { __nested: { a: [1, 2.5, null, { b: 'c,d' }] }, empty: '', emoji: '🚀', formula: '=1+1' }
    })
    await store.create(session)
    t.same(await (await reopen()).get('s-1'), session)
  })

  t.test('an unknown session is undefined to get and delete, and refused to update', async (t) => {
    const { store } = await setUp(t)
    t.equal(await store.get('none'), undefined)
    t.equal(await store.delete('none'), undefined)
    await t.rejects(store.update('none', (session) => session), refusal('SESSION_NOT_FOUND'))
  })

  t.test('an id is given once: a second create is refused and leaves the first as it was', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession())
    await t.rejects(store.create(makeSession({ userId: 'telegram_2' })), refusal('REQUEST_INVALID'))
    t.equal((await store.get('s-1'))?.userId, 'telegram_1')
  })

  t.test('an update replaces the session and resolves to it, now and in the next run', async (t) => {
    const { store, reopen } = await setUp(t)
    await store.create(makeSession())
    const updated = await store.update('s-1', (session) => ({ ...session, pendingApproval: { tool: 'x' }, metadata: { n: 1 } }))
    t.match(updated, { pendingApproval: { tool: 'x' }, metadata: { n: 1 } })
    t.same(await store.get('s-1'), updated)
    t.same(await (await reopen()).get('s-1'), updated)
  })

  t.test('updates of one session at the same time lose nothing', async (t) => {
    const { store, reopen } = await setUp(t)
    await store.create(makeSession({ metadata: { n: 0 } }))
    const increment = (session: Session): Session => ({ ...session, metadata: { n: Number(session.metadata.n) + 1 } })
    await Promise.all(Array.from({ length: 50 }, () => store.update('s-1', increment)))
    t.same((await (await reopen()).get('s-1'))?.metadata, { n: 50 })
  })

  t.test('a change that throws reaches its own caller and nobody else', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession())
    const outcomes = await Promise.allSettled([
      store.update('s-1', (session) => ({ ...session, metadata: { a: 1 } })),
      store.update('s-1', () => { throw new ServiceError('APPROVAL_NOT_PENDING') }),
      store.update('s-1', (session) => ({ ...session, metadata: { ...session.metadata, b: 2 } }))
    ])
    t.match(outcomes, [{ status: 'fulfilled' }, { status: 'rejected', reason: refusal('APPROVAL_NOT_PENDING') }, { status: 'fulfilled' }])
    t.same((await store.get('s-1'))?.metadata, { a: 1, b: 2 })
  })

  t.test('a change that a read shows before it is acknowledged is one that is acknowledged', async (t) => {
    const { store } = await setUp(t)
    const created = store.create(makeSession())
    const early = await store.get('s-1')
    await created
    t.same(await store.get('s-1'), early ?? makeSession())
  })

  t.test('a deleted session is returned once and gone for good', async (t) => {
    const { store, reopen } = await setUp(t)
    await store.create(makeSession())
    t.equal((await store.delete('s-1'))?.sessionId, 's-1')
    t.equal(await store.get('s-1'), undefined)
    t.same(await store.findByUser('telegram_1'), [])
    t.equal((await (await reopen()).count()).count, 0)
  })

  t.test('a person finds their sessions, most recently active first, of one platform if named', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession({ sessionId: 'old', lastActivityMs: START_MS - 2 }))
    await store.create(makeSession({ sessionId: 'new' }))
    await store.create(makeSession({ sessionId: 'web', platform: 'web', lastActivityMs: START_MS - 1 }))
    await store.create(makeSession({ sessionId: 'other', userId: 'telegram_2' }))
    t.same(ids(await store.findByUser('telegram_1')), ['new', 'web', 'old'])
    t.same(ids(await store.findByUser('telegram_1', 'telegram')), ['new', 'old'])
    t.same(await store.findByUser('nobody'), [])
  })

  t.test('the latest session is that of the first of several names that has one on the platform', async (t) => {
    const { store, clock } = await setUp(t)
    await store.create(makeSession({ sessionId: 'old', userId: 'a', lastActivityMs: START_MS - 2 }))
    await store.create(makeSession({ sessionId: 'new', userId: 'a', lastActivityMs: START_MS - 1 }))
    await store.create(makeSession({ sessionId: 'other', userId: 'b' }))
    await store.create(makeSession({ sessionId: 'web', userId: 'c', platform: 'web' }))
    const latest = async (...userIds: string[]): Promise<string | undefined> => (await store.findLatest(userIds, 'telegram'))?.sessionId
    t.equal(await latest('a', 'b'), 'new')
    t.equal(await latest('b', 'a'), 'other')
    t.equal(await latest('c', 'none', 'a'), 'new')
    t.equal(await latest('c'), undefined)
    t.equal(await latest(), undefined)
    clock.nowMs += TIMEOUT_MS
    t.equal(await latest('a', 'b'), 'other', 'one that has expired is not there')
  })

  t.test('continueOrCreate continues the most recent session of the person and platform', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession({ sessionId: 'old', lastActivityMs: START_MS - 2 }))
    await store.create(makeSession({ sessionId: 'new', lastActivityMs: START_MS - 1 }))
    await store.create(makeSession({ sessionId: 'web', platform: 'web' }))
    const { session, isNew } = await store.continueOrCreate('telegram_1', 'telegram', () => { throw new Error('not needed') })
    t.equal(session.sessionId, 'new')
    t.equal(isNew, false)
  })

  t.test('of many continueOrCreate at the same time one creates and the others continue', async (t) => {
    const { store } = await setUp(t)
    const calls = Array.from({ length: 20 }, (_, index) =>
      store.continueOrCreate('telegram_1', 'telegram', () => makeSession({ sessionId: `s-${index}` })))
    const results = await Promise.all(calls)
    t.equal(results.filter(({ isNew }) => isNew).length, 1)
    t.equal(new Set(results.map(({ session }) => session.sessionId)).size, 1)
    t.equal((await store.count()).count, 1)
  })

  t.test('findThreads tells which threads a session refers to', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession())
    t.same(await store.findThreads(['t-s-1', 'other']), new Set(['t-s-1']))
    await store.delete('s-1')
    t.same(await store.findThreads(['t-s-1']), new Set())
  })

  t.test('sessions are counted by platform and pending approval', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession({ sessionId: 'a', pendingApproval: { x: 1 } }))
    await store.create(makeSession({ sessionId: 'b' }))
    await store.create(makeSession({ sessionId: 'c', platform: 'web' }))
    t.same(await store.count(), { count: 3, pendingApprovals: 1, byPlatform: { telegram: 2, web: 1 } })
    await store.update('a', (session) => ({ ...session, pendingApproval: null, platform: 'web' }))
    t.same(await store.count(), { count: 3, pendingApprovals: 0, byPlatform: { telegram: 1, web: 2 } })
  })

  t.test('the question that has waited longest is found, across a restart, and not that of a session that has expired', async (t) => {
    const { store, clock, reopen } = await setUp(t)
    const ask = (sessionId: string, askedMs: number): Session =>
      makeSession({ sessionId, lastActivityMs: clock.nowMs, pendingApproval: { requested_at: new Date(askedMs).toISOString() } })
    t.equal(await store.findOldestQuestion(), undefined)
    await store.create(makeSession({ sessionId: 'none' }))
    await store.create(ask('younger', START_MS - 10))
    await store.create(ask('oldest', START_MS - 20))
    const next = await reopen()
    t.equal(await next.findOldestQuestion(), START_MS - 20)
    await next.update('oldest', (session) => ({ ...session, pendingApproval: null }))
    t.equal(await next.findOldestQuestion(), START_MS - 10)
    clock.nowMs += TIMEOUT_MS + 1
    t.equal(await next.findOldestQuestion(), undefined)
    t.equal(next.lagMs(), 0)
  })

  t.test('pages walk every session once, longest silent first, across a restart', async (t) => {
    const { store, reopen } = await setUp(t)
    for (const id of ['c', 'a', 'e', 'b', 'd']) await store.create(makeSession({ sessionId: id, lastActivityMs: START_MS - (id < 'c' ? 10 : 0) }))
    const first = await store.list({ limit: 2 })
    t.same(ids(first.sessions), ['a', 'b'])
    t.equal(first.count, 5)
    const next = await reopen()
    const second = await next.list({ limit: 2, cursor: first.nextCursor ?? '' })
    const third = await next.list({ limit: 2, cursor: second.nextCursor ?? '' })
    t.same(ids([...second.sessions, ...third.sessions]), ['c', 'd', 'e'])
    t.equal(third.nextCursor, null)
  })

  t.test('a page has what meets every condition, and counts all that do', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession({ sessionId: 'a', pendingApproval: { x: 1 } }))
    await store.create(makeSession({ sessionId: 'b' }))
    await store.create(makeSession({ sessionId: 'c', platform: 'web', pendingApproval: { x: 1 } }))
    t.same(ids((await store.list({ limit: 5, platform: 'telegram' })).sessions), ['a', 'b'])
    t.same(ids((await store.list({ limit: 5, hasPendingApproval: true })).sessions), ['a', 'c'])
    const page = await store.list({ limit: 1, platform: 'telegram', hasPendingApproval: false })
    t.same([ids(page.sessions), page.count, page.nextCursor], [['b'], 1, null])
  })

  t.test('a walk misses no session that becomes active meanwhile', async (t) => {
    const { store, clock } = await setUp(t)
    for (const [index, id] of ['a', 'b', 'c', 'd'].entries()) await store.create(makeSession({ sessionId: id, lastActivityMs: START_MS - 10 + index }))
    const first = await store.list({ limit: 2 })
    clock.nowMs += 5
    await store.update('c', touch(clock.nowMs))
    const rest = await store.list({ limit: 9, cursor: first.nextCursor ?? '' })
    t.same(ids(rest.sessions), ['d', 'c'])
  })

  for (const cursor of ['', 'x', 'bnVsbA', Buffer.from('[1]').toString('base64url'), Buffer.from('["1","2"]').toString('base64url')]) {
    t.test(`the cursor "${cursor}", which no page gave, is refused by name`, async (t) => {
      const { store } = await setUp(t)
      await t.rejects(store.list({ limit: 1, cursor }), { ...refusal('REQUEST_INVALID'), message: /cursor/ })
    })
  }

  t.test('a session silent for longer than the timeout is absent from every read', async (t) => {
    const { store, clock } = await setUp(t)
    await store.create(makeSession({ pendingApproval: { x: 1 } }))
    clock.nowMs += TIMEOUT_MS
    t.ok(await store.get('s-1'), 'silent for just as long, it is there')
    clock.nowMs++
    t.equal(await store.get('s-1'), undefined)
    t.same(await store.findByUser('telegram_1'), [])
    t.same(await store.findThreads(['t-s-1']), new Set())
    t.same(await store.count(), { count: 0, pendingApprovals: 0, byPlatform: {} })
    t.same(await store.list({ limit: 5 }), { sessions: [], count: 0, nextCursor: null })
    t.equal(await store.delete('s-1'), undefined)
    await t.rejects(store.update('s-1', (session) => session), refusal('SESSION_NOT_FOUND'))
    const { isNew } = await store.continueOrCreate('telegram_1', 'telegram', () => makeSession({ sessionId: 's-2', lastActivityMs: clock.nowMs }))
    t.equal(isNew, true)
  })

  t.test('a session whose lock is held stays, however long its turn takes', async (t) => {
    const { store, clock } = await setUp(t)
    await store.create(makeSession())
    const lock = await store.lock('s-1')
    clock.nowMs += 10 * TIMEOUT_MS
    t.ok(await store.get('s-1'))
    t.equal((await store.count()).count, 1)
    t.same(await store.removeSilentSince(clock.nowMs - TIMEOUT_MS, 100), [])
    await lock.release()
    t.equal(await store.get('s-1'), undefined)
    t.same(ids(await store.removeSilentSince(clock.nowMs - TIMEOUT_MS, 100)), ['s-1'])
  })

  t.test('a sweep removes what was silent before the cut-off and nothing else', async (t) => {
    const { store, reopen } = await setUp(t)
    for (const [index, id] of ['a', 'b', 'c'].entries()) await store.create(makeSession({ sessionId: id, lastActivityMs: START_MS + index }))
    t.same(ids(await store.removeSilentSince(START_MS + 2, 1)), ['a'], 'longest silent first, no more than asked for')
    t.same(ids(await store.removeSilentSince(START_MS + 2, 100)), ['b'])
    t.same(ids((await (await reopen()).list({ limit: 9 })).sessions), ['c'])
  })

  t.test('a session that becomes active in the same moment as the sweep stays', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession())
    const [, removed] = await Promise.all([store.update('s-1', touch(START_MS + 10)), store.removeSilentSince(START_MS + 5, 100)])
    t.same(removed, [])
    t.ok(await store.get('s-1'))
  })

  t.test('an expired session is not loaded; its thread is reported unless a loaded session uses it', async (t) => {
    const { store, clock, reopen, report } = await setUp(t)
    await store.create(makeSession({ sessionId: 'gone', threadId: 'alone' }))
    await store.create(makeSession({ sessionId: 'gone-too', threadId: 'shared' }))
    await store.create(makeSession({ sessionId: 'here', threadId: 'shared', lastActivityMs: START_MS + TIMEOUT_MS }))
    clock.nowMs += TIMEOUT_MS + 1
    const next = await reopen()
    t.same(ids((await next.list({ limit: 9 })).sessions), ['here'])
    t.same(report(), { loaded: 1, expired: 2, rejected: 0, expiredThreads: ['alone'] })
  })

  t.test('an activity that is still to come, of a clock that was ahead, counts as one of the next start', async (t) => {
    const { store, clock, reopen } = await setUp(t)
    const future = START_MS + 100 * TIMEOUT_MS
    await store.create(makeSession({ sessionId: 'ahead', createdAtMs: future, lastActivityMs: future, pendingApproval: { x: 1 }, metadata: { n: 1 } }))
    await store.create(makeSession({ sessionId: 'right', lastActivityMs: START_MS + 1 }))
    clock.nowMs += 10
    const next = await reopen()
    const ahead = makeSession({ sessionId: 'ahead', createdAtMs: future, lastActivityMs: clock.nowMs, pendingApproval: { x: 1 }, metadata: { n: 1 } })
    t.same(await next.get('ahead'), ahead)
    t.same(ids(await next.findByUser('telegram_1')), ['ahead', 'right'])
    t.same(ids((await next.list({ limit: 9 })).sessions), ['right', 'ahead'])
    t.same(await next.update('ahead', (session) => ({ ...session, metadata: { n: 2 } })), { ...ahead, metadata: { n: 2 } })
    clock.nowMs += TIMEOUT_MS + 1
    t.equal(await next.get('ahead'), undefined)
    t.same(ids(await next.removeSilentSince(clock.nowMs - TIMEOUT_MS, 9)), ['right', 'ahead'])
  })

  t.test('sessions keep their order when the clock steps back', async (t) => {
    const { store, clock } = await setUp(t)
    for (const [id, stepMs] of [['a', 0], ['b', -30_000], ['c', -10_000]] as const) {
      await store.create(makeSession({ sessionId: id, lastActivityMs: START_MS + stepMs }))
    }
    t.same(ids((await store.list({ limit: 9 })).sessions), ['b', 'c', 'a'])
    clock.nowMs = START_MS + TIMEOUT_MS - 20_000
    t.same(ids((await store.list({ limit: 9 })).sessions), ['c', 'a'])
    t.equal((await store.count()).count, 2)
  })

  t.test('locks of one session are given one at a time, in the order asked', async (t) => {
    const { store } = await setUp(t)
    const order: number[] = []
    await Promise.all([1, 2, 3].map(async (number) => {
      const lock = await store.lock('any')
      order.push(number)
      await lock.release()
    }))
    t.same(order, [1, 2, 3])
    const held = await store.lock('any')
    await t.rejects(store.lock('any', { maxWaiting: 0 }), refusal('TURN_QUEUE_FULL'))
    await held.release()
  })

  t.test('a lock brings the session as it is when the lock is given', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession())
    const none = await store.lock('none')
    t.equal(none.session, undefined)
    const first = await store.lock('s-1')
    t.same(first.session, makeSession())
    const waiting = store.lock('s-1')
    const changed = await runUnderLease(first.lease, () => store.update('s-1', (session) => ({ ...session, metadata: { n: 1 } })))
    await first.release()
    const second = await waiting
    t.same(second.session, changed)
    await runUnderLease(second.lease, () => store.delete('s-1'))
    await second.release()
    const third = await store.lock('s-1')
    t.equal(third.session, undefined)
    await Promise.all([none.release(), third.release()])
  })

  t.test('what others change while a lock is held is not written over', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession())
    const { lease, release } = await store.lock('s-1')
    await store.update('s-1', (session) => ({ ...session, metadata: { theirs: 1 } }))
    await runUnderLease(lease, () => store.update('s-1', (session) => ({ ...session, metadata: { ...session.metadata, ours: 2 } })))
    await release()
    t.same((await store.get('s-1'))?.metadata, { theirs: 1, ours: 2 })
  })

  t.test('no change is made under a lease that is lost', async (t) => {
    const { store } = await setUp(t)
    await store.create(makeSession())
    const { lease, release } = await store.lock('s-1')
    await release()
    if (lease === undefined) {
      t.comment('nobody else could take a turn over here')
      return
    }
    const lost = refusal('TURN_TAKEN_OVER')
    await runUnderLease(lease, async () => {
      await t.rejects(store.update('s-1', touch(START_MS + 1)), lost)
      await t.rejects(store.delete('s-1'), lost)
      await t.rejects(store.create(makeSession({ sessionId: 's-2' })), lost)
      await t.rejects(store.continueOrCreate('telegram_2', 'telegram', () => makeSession({ sessionId: 's-3', userId: 'telegram_2' })), lost)
    })
    t.same((await store.list({ limit: 9 })).sessions, [makeSession()])
  })

  t.test('close waits for the changes under way, can be called twice, and refuses what comes after', async (t) => {
    const { store } = await setUp(t)
    let isSaved = false
    const created = store.create(makeSession()).then(() => { isSaved = true })
    await Promise.all([store.close(), store.close()])
    t.equal(isSaved, true)
    await created
    await store.close()
    t.equal(store.status().canSave, false)
    await t.rejects(store.create(makeSession({ sessionId: 's-2' })), refusal('SERVICE_STOPPING'))
    await t.rejects(store.get('s-1'), refusal('SERVICE_STOPPING'))
  })

  t.test('a store that was never opened closes, and refuses everything else', async (t) => {
    const store = (await makeStore(t, { timeoutMs: TIMEOUT_MS, now: makeClock().now }))()
    await t.rejects(store.get('s-1'), { name: 'ServiceError' })
    await t.rejects(store.create(makeSession()), { name: 'ServiceError' })
    await store.close()
  })
}
