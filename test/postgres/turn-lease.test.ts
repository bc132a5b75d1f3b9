import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { TurnStatements } from '../../src/postgres/turn-statements.ts'
import type { QueuedTurn } from '../../src/postgres/turn-queue.ts'
import { CutOff } from '../fixtures/cut-off.ts'
import { makeGate } from '../fixtures/gate.ts'
import { PostgresServer } from '../fixtures/postgres.ts'
import { Program } from '../fixtures/program.ts'
import { createTurnTables, TurnReplica, TTL_MS } from '../fixtures/turn-replica.ts'
import { LOADER } from '../fixtures/loader.ts'

const TAKEN_OVER = { code: 'TURN_TAKEN_OVER', retryAfterSeconds: 5 }

/** Of `holdline.check_lease`. */
const LOST = { code: 'HL001' }

/** Longer than the test: what happens does so for another reason than that a lease ended. */
const LONG_MS = 100_000

const server = await PostgresServer.start(t)
const url = await server.createDatabase()
await createTurnTables(url)

/** Resolves when it waits. */
async function ask ({ queue }: TurnReplica, sessionId: string): Promise<{ turn: Promise<QueuedTurn> }> {
  const { opened: queued, open: onQueued } = makeGate()
  const turn = queue.enter(sessionId, { onQueued })
  await Promise.race([queued, turn])
  return { turn }
}

async function abortOf ({ lease: { signal } }: QueuedTurn): Promise<unknown> {
  // The timers of leases keep no process alive.
  const alive = setInterval(() => {}, LONG_MS)
  if (!signal.aborted) await once(signal, 'abort')
  clearInterval(alive)
  return signal.reason
}

/** Asks again and again, until it holds. */
async function until (isSo: () => Promise<boolean>): Promise<void> {
  while (!await isSo()) await pause(10)
}

async function countTickets ({ pool }: TurnReplica, sessionId: string): Promise<number> {
  return (await pool.query('SELECT 1 FROM holdline.turns WHERE session_id = $1', [sessionId])).length
}

async function checkLease ({ pool }: TurnReplica, { lease: { id } }: QueuedTurn): Promise<void> {
  await pool.query('SELECT holdline.check_lease($1)', [id])
}

t.test('a turn that runs, and one that waits, are kept for as long as it takes, by one statement for both', async t => {
  const [one, two] = [await TurnReplica.start(t, url), await TurnReplica.start(t, url)]
  const held = await one.queue.enter('renewed')
  const waiting = await ask(one, 'renewed')
  await pause(TTL_MS / 2)
  const before = one.pool.queryCount
  await pause(TTL_MS)
  held.lease.check()
  t.ok(one.pool.queryCount - before <= 6, 'three renewals, and looks of the one who waits when a lease might have ended')
  await checkLease(two, held)
  await held.release()
  await (await waiting.turn).release()
})

t.test('renewals tell the time of the server', async t => {
  const replica = await TurnReplica.start(t, url, { ttlMs: 300 })
  const { release } = await replica.queue.enter('time')
  await until(async () => replica.clock.now() > 0)
  const [row] = await replica.pool.query<{ ms: number }>('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms')
  t.ok(Math.abs(replica.clock.now() - (row?.ms ?? 0)) < 1000)
  await release()
})

t.test('so does each turn, however short', async t => {
  const replica = await TurnReplica.start(t, url, { ttlMs: LONG_MS })
  await (await replica.queue.enter('time')).release()
  t.ok(Math.abs(replica.clock.now() - Date.now()) < 60_000)
})

t.test('a server whose clock was set back keeps those who wait from nothing that nobody told them', async t => {
  const [one, two] = [await TurnReplica.start(t, url, { ttlMs: LONG_MS }), await TurnReplica.start(t, url)]
  const held = await one.queue.enter('set back')
  await one.pool.query("UPDATE holdline.turns SET until = until + interval '100 days' WHERE session_id = 'set back'")
  const next = await ask(two, 'set back')
  const before = two.pool.queryCount
  await pause(TTL_MS / 2)
  t.ok(two.pool.queryCount - before <= 4, 'and asks no more often for it')
  await one.pool.query('DELETE FROM holdline.turns WHERE lease = $1', [held.lease.id])
  await (await next.turn).release()
  await held.release()
})

t.test('a turn whose ticket is gone is lost, and one that waits may be asked for again', async t => {
  const replica = await TurnReplica.start(t, url, { ttlMs: LONG_MS, renewMs: 50 })
  const held = await replica.queue.enter('gone')
  const waiting = await ask(replica, 'gone')
  await replica.pool.query('DELETE FROM holdline.turns WHERE session_id = $1', ['gone'])
  t.match(await abortOf(held), TAKEN_OVER)
  t.throws(() => { held.lease.check() }, TAKEN_OVER)
  await t.rejects(waiting.turn, { code: 'STORE_UNAVAILABLE', retryAfterSeconds: 5 })
  await held.release()
})

t.test('a turn of a replica that is cut off is lost there before another replica has it', async t => {
  const line = new CutOff()
  const [one, two] = [await TurnReplica.start(t, url, { wrap: line.wrap }), await TurnReplica.start(t, url)]
  const held = await one.queue.enter('cut off')
  const waiting = await ask(one, 'cut off')
  const next = await ask(two, 'cut off')
  line.cut('silently')
  t.match(await abortOf(held), TAKEN_OVER)
  const { release } = await next.turn
  t.throws(() => { held.lease.check() }, TAKEN_OVER)
  await t.rejects(checkLease(two, held), LOST)
  await t.rejects(waiting.turn, { code: 'STORE_UNAVAILABLE' })
  line.mend()
  await release()
})

t.test('a turn outlives a database that is away for less than its lease', async t => {
  const line = new CutOff()
  const replica = await TurnReplica.start(t, url, { wrap: line.wrap })
  const held = await replica.queue.enter('away')
  const waiting = await ask(replica, 'away')
  line.cut('loudly')
  await replica.log.next('could not be renewed')
  line.mend()
  await replica.log.next('renewed in Postgres again')
  await checkLease(replica, held)
  held.lease.check()
  await held.release()
  await (await waiting.turn).release()
})

t.test('a release that fails is tried again', async t => {
  const line = new CutOff()
  const one = await TurnReplica.start(t, url, { ttlMs: LONG_MS, renewMs: 200, wrap: line.wrap })
  const two = await TurnReplica.start(t, url, { ttlMs: LONG_MS })
  const held = await one.queue.enter('release')
  const next = await ask(two, 'release')
  line.cut('loudly')
  const released = held.release()
  await one.log.next('could not be told to Postgres')
  line.mend()
  await released
  await (await next.turn).release()
})

t.test('a release that never succeeds resolves when the lease has ended by itself', async t => {
  const line = new CutOff()
  const [one, two] = [await TurnReplica.start(t, url, { ttlMs: 300, wrap: line.wrap }), await TurnReplica.start(t, url)]
  for (const how of ['loudly', 'silently'] as const) {
    const held = await one.queue.enter(how)
    const next = await ask(two, how)
    line.cut(how)
    const alive = setInterval(() => {}, LONG_MS)
    await held.release()
    clearInterval(alive)
    await (await next.turn).release()
    line.mend()
  }
})

t.test('an entry that the server did not answer about keeps nobody waiting for long', async t => {
  const line = new CutOff()
  const [one, two] = [await TurnReplica.start(t, url, { ttlMs: LONG_MS, renewMs: 200, wrap: line.wrap }), await TurnReplica.start(t, url)]
  // It is taken, and the answer is lost, twice.
  const taken = makeGate()
  const deaf = await TurnReplica.start(t, url, {
    ttlMs: LONG_MS,
    renewMs: 200,
    wrap: queries => ({
      query: async (text, values) => {
        const rows = await queries.query<never>(text, values)
        if (!text.includes('enter_turn')) return rows
        taken.open()
        throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
      }
    })
  })
  await t.rejects(deaf.queue.enter('unanswered'), { code: 'STORE_UNAVAILABLE', retryAfterSeconds: 5 })
  await taken.opened
  await (await two.queue.enter('unanswered')).release()
  line.cut('loudly')
  await t.rejects(one.queue.enter('unanswered'), { code: 'STORE_UNAVAILABLE' })
})

t.test('a turn of a replica that died ends with its lease', async t => {
  const replica = await TurnReplica.start(t, url)
  await replica.pool.query(`INSERT INTO holdline.turns (lease, session_id, owner, until)
    VALUES (gen_random_uuid(), 'dead', gen_random_uuid(), clock_timestamp() + interval '300 ms')`)
  const next = await ask(replica, 'dead')
  t.equal(await replica.queue.interrupt('dead'), false, 'whoever asks for its end does not wait for longer')
  await (await next.turn).release()
  t.equal(await countTickets(replica, 'dead'), 0)
})

t.test('a turn that is asked to end just before it begins ends at once', async t => {
  const [one, two] = [await TurnReplica.start(t, url), await TurnReplica.start(t, url)]
  const held = await one.queue.enter('early')
  const next = await ask(one, 'early')
  await one.pool.query("UPDATE holdline.turns SET cancel_requested = true WHERE session_id = 'early' AND lease <> $1", [held.lease.id])
  await held.release()
  const cancelled = await next.turn.catch((error: unknown) => error)
  if (cancelled instanceof Error) t.match(cancelled, { code: 'TURN_CANCELLED' })
  else t.match(await abortOf(await next.turn), { code: 'TURN_CANCELLED' })
  if (!(cancelled instanceof Error)) await (await next.turn).release(true)
  await (await two.queue.enter('early')).release()
})

t.test('a process that was stopped finds its lease lost at its first look, before any of its timers has run', async t => {
  const holder = new Program(t, [process.execPath, LOADER, fileURLToPath(new URL('../fixtures/lease-program.ts', import.meta.url)), url])
  t.equal(await holder.hear(), '"held"')
  holder.kill('SIGSTOP')
  const replica = await TurnReplica.start(t, url)
  const next = await replica.queue.enter('s')
  holder.kill('SIGCONT')
  t.match(JSON.parse(await holder.hear() ?? ''), { code: 'TURN_TAKEN_OVER', isAborted: true })
  await next.release()
})

t.test('a write under a lease keeps the next turn waiting until it has ended, and no renewal', async t => {
  const [one, two] = [await TurnReplica.start(t, url, { ttlMs: 300 }), await TurnReplica.start(t, url, { ttlMs: LONG_MS })]
  const held = await one.queue.enter('write')
  const other = await one.queue.enter('other')
  let next: Promise<QueuedTurn> | undefined
  let hasWritten = false
  await one.pool.transaction(async client => {
    await client.query('SELECT holdline.check_lease($1)', [held.lease.id])
    t.match((await client.query('SHOW synchronous_commit')).rows, [{ synchronous_commit: 'on' }], 'what is written with it waits for the disk')
    const [before] = await readUntil(two, held)
    await until(async () => (await readUntil(two, held))[0] !== before)
    t.pass('it is renewed')
    await two.pool.query("UPDATE holdline.turns SET until = clock_timestamp() - interval '1 s' WHERE lease = $1", [held.lease.id])
    t.match(await abortOf(held), TAKEN_OVER)
    next = two.queue.enter('write').then(turn => {
      t.ok(hasWritten)
      return turn
    })
    await until(async () => await countTickets(two, 'write') === 2)
    await client.query('CREATE TABLE IF NOT EXISTS written (at timestamptz)')
    hasWritten = true
  })
  await (await next)?.release()
  other.lease.check()
  await other.release()
  await held.release()
})

t.test('a write that comes after the next turn has begun is refused', async t => {
  const replica = await TurnReplica.start(t, url, { ttlMs: LONG_MS })
  const held = await replica.queue.enter('late')
  await checkLease(replica, held)
  await held.release()
  await t.rejects(checkLease(replica, held), LOST)
})

t.test('a lease that is over is dead, though nobody has taken it away', async t => {
  const replica = await TurnReplica.start(t, url, { ttlMs: LONG_MS, renewMs: 50 })
  const held = await replica.queue.enter('over')
  await replica.pool.query("UPDATE holdline.turns SET until = clock_timestamp() - interval '1 ms' WHERE session_id = 'over'")
  await t.rejects(checkLease(replica, held), LOST)
  t.match(await abortOf(held), TAKEN_OVER)
  await held.release()
})

t.test('a release waits for a write that is still under way', async t => {
  const [one, two] = [await TurnReplica.start(t, url, { ttlMs: LONG_MS }), await TurnReplica.start(t, url, { ttlMs: LONG_MS })]
  const held = await one.queue.enter('straggler')
  const next = await ask(two, 'straggler')
  let isWritten = false
  let released: Promise<void> | undefined
  await one.pool.transaction(async client => {
    await client.query('SELECT holdline.check_lease($1)', [held.lease.id])
    released = held.release()
    await until(async () => (await two.pool.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%leave_turn%'")).length > 0)
    isWritten = true
  })
  const { release } = await next.turn
  t.ok(isWritten)
  await release()
  await released
})

t.test('what remains of replicas that died is taken away', async t => {
  const replica = await TurnReplica.start(t, url)
  await replica.pool.query(`INSERT INTO holdline.turns (lease, session_id, owner, until)
    VALUES (gen_random_uuid(), 'remains', gen_random_uuid(), clock_timestamp() - interval '2 minutes'), (gen_random_uuid(), 'fresh', gen_random_uuid(), clock_timestamp())`)
  await new TurnStatements(replica.pool, TTL_MS).dropRemains()
  t.equal(await countTickets(replica, 'remains'), 0)
  t.equal(await countTickets(replica, 'fresh'), 1)
})

t.test('a database whose transactions do not see what others did meanwhile is refused', async t => {
  const strict = await server.createDatabase()
  await createTurnTables(strict)
  const admin = await TurnReplica.start(t, strict)
  await admin.pool.query(`ALTER DATABASE ${new URL(strict).pathname.slice(1)} SET default_transaction_isolation = 'repeatable read'`)
  const replica = await TurnReplica.start(t, strict)
  await t.rejects(replica.queue.enter('s'), { code: 'STORE_UNAVAILABLE', cause: { code: '0A000' } })
})

t.end()

async function readUntil ({ pool }: TurnReplica, { lease: { id } }: QueuedTurn): Promise<unknown[]> {
  return (await pool.query<{ until: string }>('SELECT until::text FROM holdline.turns WHERE lease = $1', [id])).map(row => row.until)
}
