import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Changes } from '../../../src/sessions/changes.ts'
import { SessionTable } from '../../../src/sessions/memory.ts'
import type { Session } from '../../../src/sessions/session.ts'
import type { RedisSessionStore } from '../../../src/sessions/redis/store.ts'
import { deriveIndexes, openReplica, readIndexes } from '../../fixtures/redis-sessions.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { makeClock, makeSession, START_MS } from '../../fixtures/sessions.ts'

const TIMEOUT_MS = 60_000
const IDS = ['a', 'B', 'b', 'c-1', 'c.1', 'Z', 'z', '_']

const id = fc.constantFrom(...IDS)
const user = fc.constantFrom('telegram_1', 'telegram_2', 'web_é🚀')
const platform = fc.constantFrom('telegram', 'web')
const fields = fc.record({ user, platform, thread: fc.constantFrom('t-1', 't-2', 't-3'), askedMs: fc.option(fc.nat(3)), back: fc.nat(5), text: fc.string({ unit: 'binary' }) })
const event = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('create' as const), id, fields }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('update' as const), id, fields }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('chat' as const), id, fields }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(TIMEOUT_MS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const), limit: fc.integer({ min: 1, max: 4 }) }) }
)
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never
type Fields = typeof fields extends fc.Arbitrary<infer T> ? T : never

/** What a session in memory would be. */
class Reference {
  readonly clock = makeClock()
  readonly table = new SessionTable<undefined>({ timeoutMs: TIMEOUT_MS, now: this.clock.now, locks: { isHeld: () => false, held: () => [] } })

  change<T> (make: (changes: Changes<undefined>) => T): T {
    const changes = new Changes<undefined>(this.table, { prepare: () => undefined, weigh: () => 0 })
    const result = make(changes)
    changes.apply()
    return result
  }
}

function describe (sessionId: string, { user, platform, thread, askedMs, back, text }: Fields, nowMs: number): Session {
  return makeSession({
    sessionId,
    userId: user,
    platform,
    threadId: thread,
    createdAtMs: nowMs,
    lastActivityMs: nowMs - back,
    metadata: { text },
    pendingApproval: askedMs === null ? null : { requested_at: new Date(START_MS + askedMs).toISOString(), text },
    extra: { column: 'x' }
  })
}

/** The same of both, an error by its code. */
async function same (ours: () => Promise<unknown>, theirs: () => unknown): Promise<void> {
  const settle = async (run: () => unknown): Promise<unknown> => {
    try {
      return await run()
    } catch (error) {
      return error instanceof Error && 'code' in error ? error.code : error
    }
  }
  assert.deepEqual(await settle(ours), await settle(theirs))
}

async function perform (event: Event, store: RedisSessionStore, reference: Reference): Promise<void> {
  const { clock } = reference
  if (event.kind === 'pass') clock.nowMs += event.ms
  if (event.kind === 'delete') await same(() => store.delete(event.id), () => reference.change(changes => changes.remove(event.id)))
  if (event.kind === 'sweep') {
    const cutoffMs = clock.nowMs - TIMEOUT_MS
    const { limit } = event
    await same(() => store.removeSilentSince(cutoffMs, limit), () => reference.change(changes => changes.removeSilentSince(cutoffMs, limit)))
  }
  if (event.kind === 'create') {
    const session = describe(event.id, event.fields, clock.nowMs)
    await same(() => store.create(session), () => reference.change(changes => { changes.add(session) }))
  }
  if (event.kind === 'update') {
    const after = describe(event.id, event.fields, clock.nowMs)
    await same(() => store.update(event.id, () => after), () => reference.change(changes => changes.update(event.id, () => after)))
  }
  if (event.kind === 'chat') {
    const session = describe(event.id, event.fields, clock.nowMs)
    const { userId, platform } = session
    await same(async () => (await store.continueOrCreate(userId, platform, () => session)).session, () => reference.change(changes => {
      const latest = changes.findLatest(userId, platform)
      if (latest === undefined) changes.add(session)
      return latest ?? session
    }))
  }
}

async function compare (store: RedisSessionStore, { table }: Reference): Promise<void> {
  assert.deepEqual(await store.count(), table.count())
  for (const sessionId of IDS) assert.deepEqual(await store.get(sessionId), table.get(sessionId))
  for (const userId of ['telegram_1', 'web_é🚀']) assert.deepEqual(await store.findByUser(userId), table.findByUser(userId))
  assert.deepEqual(await store.findThreads(['t-1', 't-2', 't-4']), table.findThreads(['t-1', 't-2', 't-4']))
  for (const query of [{}, { platform: 'web' }, { hasPendingApproval: true }, { hasPendingApproval: false }, { platform: 'telegram', hasPendingApproval: true }]) {
    for (let cursor: { cursor?: string } | undefined = {}; cursor !== undefined;) {
      const page = await store.list({ limit: 2, ...query, ...cursor })
      assert.deepEqual(page, await table.list({ limit: 2, ...query, ...cursor }))
      cursor = page.nextCursor === null ? undefined : { cursor: page.nextCursor }
    }
  }
}

t.test('whatever happens, two replicas say what one process in memory would, and the indexes are those of the hashes', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t, ['--appendonly', 'no'])
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(event, fc.boolean()), { minLength: 5, maxLength: 30 }), async events => {
    const reference = new Reference()
    const shared = { clock: reference.clock, timeoutMs: TIMEOUT_MS }
    const replicas = [await openReplica(t, server, shared), await openReplica(t, server, shared)] as const
    await replicas[0].connection.client.flushdb()
    for (const [event, isFirst] of events) await perform(event, replicas[isFirst ? 0 : 1].store, reference)
    await compare(replicas[0].store, reference)
    const { client } = replicas[1].connection
    assert.deepEqual(await readIndexes(client), await deriveIndexes(client))
    for (const { store, connection } of replicas) {
      await store.close()
      await connection.close()
    }
  }), { numRuns: 60 })
})
