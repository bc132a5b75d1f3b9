import t, { type Test } from 'tap'
import { PostgresEvents, type PostgresEventsOptions } from '../../src/postgres/events.ts'
import { PostgresPool } from '../../src/postgres/pool.ts'
import { makeGate } from '../fixtures/gate.ts'
import { NO_PGBOUNCER, PgBouncer } from '../fixtures/pgbouncer.ts'
import { PostgresServer } from '../fixtures/postgres.ts'
import { RecordingLog } from '../fixtures/recording-log.ts'

/** Longer than the test: what happens was not polled. */
const LONG_MS = 100_000

const server = await PostgresServer.start(t)
const url = await server.createDatabase()

interface Setup {
  readonly log: RecordingLog
  readonly pool: PostgresPool
  readonly events: PostgresEvents
}

async function setUp (t: Test, options: Partial<PostgresEventsOptions> = {}): Promise<Setup> {
  const log = new RecordingLog()
  const pool = new PostgresPool({ url, max: 2, log })
  const events = new PostgresEvents({ url, pool, log, pollMs: LONG_MS, ...options })
  t.after(async () => {
    await events.close()
    await pool.close()
  })
  await events.start()
  return { log, pool, events }
}

async function notify ({ pool }: Setup, topic: string): Promise<void> {
  await pool.query("SELECT pg_notify('holdline', $1)", [topic])
}

/** Ends the connection over which notifications come. */
async function cutLine ({ pool }: Setup): Promise<void> {
  await pool.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN holdline' AND datname = current_database()")
}

t.test('who follows a topic is woken at each notification of it, and of no other', async t => {
  const setup = await setUp(t)
  t.equal(setup.events.isHearing, true)
  const wakes: string[] = []
  const { opened, open } = makeGate()
  const { opened: heardB, open: hearB } = makeGate()
  setup.events.subscribe('a', () => { wakes.push('a') })
  const unfollow = setup.events.subscribe('b', () => {
    wakes.push('b')
    hearB()
  })
  setup.events.subscribe('c', open)
  await notify(setup, 'a')
  await notify(setup, 'other')
  await notify(setup, 'b')
  await heardB
  unfollow()
  await notify(setup, 'b')
  await notify(setup, 'a')
  await notify(setup, 'c')
  await opened
  t.same(wakes, ['a', 'b', 'a'])
})

t.test('two who follow a topic with the same function are two', async t => {
  const setup = await setUp(t)
  let count = 0
  const wake = (): void => { count++ }
  const unfollow = setup.events.subscribe('a', wake)
  setup.events.subscribe('a', wake)
  const { opened, open } = makeGate()
  setup.events.subscribe('end', open)
  unfollow()
  unfollow()
  await notify(setup, 'a')
  await notify(setup, 'end')
  await opened
  t.equal(count, 1)
})

t.test('replicas hear each other', async t => {
  const [one, two] = [await setUp(t), await setUp(t)]
  const { opened, open } = makeGate()
  two.events.subscribe('a', open)
  await notify(one, 'a')
  await opened
  t.pass()
})

t.test('who follows is woken again and again while the connection is lost, and once when it is back', async t => {
  const setup = await setUp(t, { pollMs: 1 })
  const lost = setup.log.next('are not heard')
  await cutLine(setup)
  const back = setup.log.next('come again')
  await lost
  t.equal(setup.events.isHearing, false)
  const { opened, open } = makeGate()
  const unfollow = setup.events.subscribe('a', open)
  await opened
  unfollow()
  await back
  t.equal(setup.events.isHearing, true)
  const again = makeGate()
  setup.events.subscribe('a', again.open)
  await notify(setup, 'a')
  await again.opened
})

t.test('what was notified while the connection was lost is not missed', async t => {
  const setup = await setUp(t)
  const { opened, open } = makeGate()
  setup.events.subscribe('a', open)
  const lost = setup.log.next('are not heard')
  await cutLine(setup)
  await lost
  await opened
  t.equal(setup.events.isHearing, true)
})

t.test('a connection over which nothing comes any more is found out, and replaced', async t => {
  const setup = await setUp(t, { pingMs: 20, patienceMs: 500 })
  // As far as the client knows, it listens still.
  const deaf = setup.log.next('are not heard')
  const [pid] = await setup.pool.query<{ pid: number }>("SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN holdline' AND datname = current_database()")
  t.ok(pid)
  process.kill(pid?.pid ?? 0, 'SIGSTOP')
  await deaf
  const back = setup.log.next('come again')
  process.kill(pid?.pid ?? 0, 'SIGCONT')
  await back
  t.equal(setup.events.isHearing, true)
})

t.test('a server that is away at the start is heard when it comes', async t => {
  await server.stop()
  // Nothing else does.
  const alive = setInterval(() => {}, LONG_MS)
  t.after(() => { clearInterval(alive) })
  const setup = await setUp(t, { pollMs: 1 })
  t.equal(setup.events.isHearing, false)
  const { opened, open } = makeGate()
  const unfollow = setup.events.subscribe('a', open)
  await opened
  unfollow()
  const back = setup.log.next('come again')
  await server.start()
  await back
  t.equal(setup.events.isHearing, true)
})

t.test('behind PgBouncer in transaction mode it finds out that nothing comes, and wakes those who follow again and again', { skip: NO_PGBOUNCER }, async t => {
  const bouncer = await PgBouncer.start(t, server)
  const address = bouncer.addressOf(url)
  const pool = new PostgresPool({ url: address, max: 2, log: new RecordingLog() })
  t.after(async () => { await pool.close() })
  const setup = await setUp(t, { url: address, pool, pollMs: 1, patienceMs: 200 })
  t.equal(setup.events.isHearing, false)
  t.same(setup.log.lines.filter(line => line.startsWith('warn')).length, 1)
  let count = 0
  const { opened, open } = makeGate()
  const unfollow = setup.events.subscribe('a', () => { if (++count === 3) open() })
  await opened
  unfollow()
  const { opened: woken, open: wake } = makeGate()
  setup.events.subscribe('here', wake)
  setup.events.wakeHere('here')
  await woken
})

t.test('behind PgBouncer in session mode notifications come', { skip: NO_PGBOUNCER }, async t => {
  const bouncer = await PgBouncer.start(t, server, ['pool_mode = session'])
  const setup = await setUp(t, { url: bouncer.addressOf(url) })
  t.equal(setup.events.isHearing, true)
})

t.test('it closes while it connects, and twice', async t => {
  const log = new RecordingLog()
  const pool = new PostgresPool({ url, max: 2, log })
  const events = new PostgresEvents({ url, pool, log })
  const started = events.start()
  await Promise.all([events.close(), events.close(), started])
  t.same(log.lines, [])
  t.equal(events.isHearing, false)
  await pool.close()
})

t.end()
