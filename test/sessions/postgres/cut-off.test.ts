import t, { type Test } from 'tap'
import type { PostgresPool } from '../../../src/postgres/pool.ts'
import type { PostgresSessionStore } from '../../../src/sessions/postgres/store.ts'
import type { Session } from '../../../src/sessions/session.ts'
import { PostgresReplica } from '../../fixtures/postgres-replica.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'
import { makeClock, makeSession, START_MS } from '../../fixtures/sessions.ts'

const SETTINGS = { timeoutMs: 60_000, now: makeClock().now }

/** Where a connection breaks: before a statement takes effect, or before it is heard that it did. */
type Break = 'before' | 'after'

/** Statements go to the server; those that begin with a word can be cut off. */
class BreakingPool {
  readonly #pool: PostgresPool
  /** What happens to the next statements of this kind. */
  breaks: Break[] = []
  word = ''
  /** Runs between the break and what comes then. */
  meanwhile = async (): Promise<void> => {}

  constructor (pool: PostgresPool) {
    this.#pool = pool
  }

  status (): { canSave: boolean } {
    return this.#pool.status()
  }

  async query<Row extends object> (text: string, values?: readonly unknown[]): Promise<Row[]> {
    const at = text.trim().startsWith(this.word) ? this.breaks.shift() : undefined
    const rows = at === 'before' ? [] : await this.#pool.query<Row>(text, values)
    if (at === undefined) return rows
    await this.meanwhile()
    throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
  }
}

t.test('with a server', async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])

  const setUp = async (t: Test): Promise<{ replica: PostgresReplica, pool: BreakingPool, store: PostgresSessionStore }> => {
    const replica = await PostgresReplica.open(t, await server.createDatabase())
    const pool = new BreakingPool(replica.pool)
    const store = replica.makeStore({ ...SETTINGS, pool })
    await store.open()
    return { replica, pool, store }
  }
  const increment = (session: Session): Session => ({ ...session, metadata: { n: Number(session.metadata.n) + 1 } })
  const cut = (pool: BreakingPool, word: string, ...breaks: Break[]): void => { Object.assign(pool, { word, breaks }) }

  for (const breaks of [['before'], ['after'], ['after', 'before'], ['after', 'after'], ['before', 'before']] as const) {
    t.test(`a change whose connection breaks ${breaks.join(', then ')} it takes effect is made once`, async t => {
      const { pool, store } = await setUp(t)
      cut(pool, 'INSERT', ...breaks)
      await store.create(makeSession({ metadata: { n: 0 } }))
      cut(pool, 'UPDATE', ...breaks)
      t.same((await store.update('s-1', increment)).metadata, { n: 1 })
      t.same((await store.get('s-1'))?.metadata, { n: 1 })
      cut(pool, 'SELECT', ...breaks)
      const { session, isNew } = await store.continueOrCreate('web_1', 'web', () => makeSession({ sessionId: 's-2', userId: 'web_1', platform: 'web' }))
      t.same([session.sessionId, isNew], ['s-2', true])
      cut(pool, 'DELETE', ...breaks)
      t.same((await store.delete('s-1'))?.metadata, { n: 1 })
      t.equal((await store.count()).count, 1)
      t.same(pool.breaks, [])
    })
  }

  t.test('a break is told from a change of another one', async t => {
    const { replica, pool, store } = await setUp(t)
    const other = replica.makeStore(SETTINGS)
    await other.open()
    await store.create(makeSession({ metadata: { n: 0 } }))
    cut(pool, 'UPDATE', 'before')
    pool.meanwhile = async () => { await other.update('s-1', increment) }
    t.same((await store.update('s-1', increment)).metadata, { n: 2 }, 'ours was not made: it is made to theirs')
    cut(pool, 'UPDATE', 'after')
    await t.rejects(store.update('s-1', increment), { code: 'STORE_UNAVAILABLE' }, 'ours may have been made before theirs: nobody can tell')
    t.same((await store.get('s-1'))?.metadata, { n: 4 })
    cut(pool, 'INSERT', 'before')
    pool.meanwhile = async () => { await other.create(makeSession({ sessionId: 's-2' })) }
    await t.rejects(store.create(makeSession({ sessionId: 's-2' })), { code: 'REQUEST_INVALID' })
  })

  t.test('a connection that keeps breaking is given up', async t => {
    const { pool, store } = await setUp(t)
    cut(pool, 'SELECT', 'before', 'before', 'before')
    await t.rejects(store.get('s-1'), { code: 'STORE_UNAVAILABLE' })
    cut(pool, 'SELECT', 'before')
    await t.rejects(store.removeSilentSince(START_MS, 1), { code: 'STORE_UNAVAILABLE' }, 'what is removed has to be told')
  })

  t.test('connections that are ended by the dozen lose no change that was acknowledged, and make none twice', async t => {
    const { replica } = await setUp(t)
    const store = replica.makeStore(SETTINGS)
    await store.open()
    const ids = Array.from({ length: 8 }, (_, index) => `s-${index}`)
    for (const sessionId of ids) await store.create(makeSession({ sessionId, metadata: { n: 0 } }))
    const made = new Map(ids.map(id => [id, 0]))
    const refused = new Map(ids.map(id => [id, 0]))
    const over = new AbortController()
    const changing = ids.map(async id => {
      for (let round = 0; round < 60; round++) {
        const counts = await store.update(id, increment).then(() => made, () => refused)
        counts.set(id, (counts.get(id) ?? 0) + 1)
      }
    })
    const ending = (async () => {
      const end = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()'
      while (!over.signal.aborted) await replica.pool.query(`${end}; SELECT pg_sleep(0.01)`).catch(() => {})
    })()
    await Promise.all(changing)
    over.abort()
    await ending
    for (const id of ids) {
      const n = Number((await store.get(id))?.metadata.n)
      const least = made.get(id) ?? 0
      t.ok(n >= least && n <= least + (refused.get(id) ?? 0), `${id}: ${n} of ${least}, ${refused.get(id)} refused`)
    }
    t.ok([...made.values()].some(n => n > 0))
  })
})
