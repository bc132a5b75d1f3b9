import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { PostgresPool } from '../../src/postgres/pool.ts'
import { PostgresTurnLog, type PostgresTurnLogOptions } from '../../src/postgres/turn-log.ts'
import type { TurnEvent } from '../../src/turn-events.ts'
import { NO_PGBOUNCER, PgBouncer } from '../fixtures/pgbouncer.ts'
import { PostgresServer } from '../fixtures/postgres.ts'
import { RecordingLog } from '../fixtures/recording-log.ts'
import { createTurnTables } from '../fixtures/turn-replica.ts'

const server = await PostgresServer.start(t)
const address = await server.createDatabase()
await createTurnTables(address)

const session = { sessionId: 's-1', userId: 'api_1', platform: 'api' }

function token (position: number, data = '{"text":"a"}'): TurnEvent {
  return { position, name: 'token', data }
}

const FIRST: TurnEvent = { position: 1, name: 'session', data: '{"session_id":"s-1"}' }

function last (position: number): TurnEvent {
  return { position, name: 'message', data: '{"message":"Grüße \\u0000 \\ud800 😀"}' }
}

t.test('directly', async t => { await testLog(t, address) })

t.test('through PgBouncer in transaction mode', { skip: NO_PGBOUNCER }, async t => {
  const bouncer = await PgBouncer.start(t, server)
  await testLog(t, bouncer.addressOf(address))
})

// The server keeps the process alive: without this, each would wait for the other to end.
t.end()

async function testLog (t: Test, url: string): Promise<void> {
  const pool = new PostgresPool({ url, max: 3, log: new RecordingLog() })
  t.after(async () => { await pool.close() })

  const setUp = (options: Partial<PostgresTurnLogOptions> = {}) => {
    const log = new PostgresTurnLog({ pool, settleMs: 1, pollMs: 1, ...options })
    const turnId = randomUUID()
    const leaseId = randomUUID()
    const append = async (...events: TurnEvent[]): Promise<void> => { await log.append(turnId, { session, clientId: 'key', leaseId }, events) }
    const enter = async (): Promise<void> => {
      await pool.query("SELECT * FROM holdline.enter_turn('s-1', $1, gen_random_uuid(), NULL, 100000)", [leaseId])
    }
    const leave = async (): Promise<void> => { await pool.query('SELECT holdline.leave_turn($1, false)', [leaseId]) }
    return { log, turnId, append, enter, leave }
  }

  t.test('another replica reads the events after a position in order, and whose they are', async t => {
    const { log, turnId, append, enter, leave } = setUp()
    await enter()
    t.equal(await log.read(turnId, 0), undefined)
    await append(FIRST, token(2), token(3))
    t.same(await log.read(turnId, 0), { session, clientId: 'key', isRunning: true, events: [FIRST, token(2), token(3)] })
    await append(token(4), last(5))
    const other = new PostgresTurnLog({ pool })
    t.same((await other.read(turnId, 2))?.events, [token(3), token(4), last(5)])
    t.same((await other.read(turnId, 5))?.events, [])
    await leave()
    t.same(await other.read(turnId, 4), { session, clientId: 'key', isRunning: false, events: [last(5)] })
  })

  t.test('events that are added twice are there once', async t => {
    const { log, turnId, append } = setUp()
    await append(FIRST, token(2))
    await append(FIRST, token(2))
    await append()
    t.same((await log.read(turnId, 0))?.events, [FIRST, token(2)])
  })

  t.test('a turn that lost its lease runs no more', async t => {
    const { log, turnId, append, enter } = setUp()
    await enter()
    await append(FIRST, token(2))
    await pool.query("UPDATE holdline.turns SET until = clock_timestamp() - interval '1 ms'")
    t.match(await log.read(turnId, 2), { isRunning: false, events: [] })
  })

  t.test('the last event of a turn may come after its lease has gone', async t => {
    const { log, turnId, append, enter, leave } = setUp({ settleMs: 300 })
    await enter()
    await append(FIRST)
    await leave()
    const read = log.read(turnId, 1)
    await append(last(2))
    t.match(await read, { isRunning: false, events: [last(2)] })
  })

  t.test('of a turn that is too long the first event and the newest are kept, and who missed some gets the last one alone', async t => {
    const { log, turnId, append } = setUp({ maxTurnBytes: 1000 })
    await append(FIRST)
    for (let position = 2; position < 20; position++) await append(token(position, `"${'x'.repeat(200)}"`))
    t.same((await log.read(turnId, 0))?.events, [FIRST], 'nothing with a gap in it')
    t.same((await log.read(turnId, 17))?.events.map(({ position }) => position), [18, 19], 'who is up to date misses nothing')
    await append(last(20))
    t.same((await log.read(turnId, 0))?.events, [FIRST, last(20)])
    t.same((await log.read(turnId, 3))?.events, [last(20)])
    t.same((await log.read(turnId, 18))?.events.map(({ position }) => position), [19, 20])
    const [row] = await pool.query<{ size: number }>('SELECT sum(octet_length(events))::integer AS size FROM holdline.turn_events WHERE turn_id = $1', [turnId])
    t.ok(row !== undefined && row.size < 1500)
  })

  t.test('events that are too large by themselves are left out', async t => {
    const { log, turnId, append } = setUp({ maxTurnBytes: 1000 })
    const large = token(2, `"${'x'.repeat(2000)}"`)
    await append(FIRST, large)
    await append({ ...large, position: 3 })
    await append({ ...large, position: 4 }, last(5))
    t.same((await log.read(turnId, 0))?.events, [FIRST, last(5)])
  })

  t.test('who follows a turn is woken again and again, until they leave', async t => {
    const { log, turnId } = setUp()
    let count = 0
    await new Promise<void>(resolve => {
      const unfollow = log.follow(turnId, () => {
        if (++count < 3) return
        unfollow()
        resolve()
      })
    })
    t.equal(count, 3)
  })

  t.test('the turns of a session can be forgotten', async t => {
    const { log, turnId, append } = setUp()
    await append(FIRST, last(2))
    await log.forget(['other', 's-2'])
    t.ok(await log.read(turnId, 0))
    await log.forget(['s-1'])
    t.equal(await log.read(turnId, 0), undefined)
  })

  t.test('what is old goes, save of a turn that runs or has just ended', async t => {
    const [ended, running, recent] = [setUp(), setUp(), setUp({ dropOldEveryMs: 0 })]
    await running.enter()
    for (const { append } of [ended, running, recent]) await append(FIRST)
    await pool.query("UPDATE holdline.turn_events SET written_at = clock_timestamp() - interval '7 minutes'")
    await recent.append(last(2))
    t.equal(await ended.log.read(ended.turnId, 0), undefined)
    t.same((await running.log.read(running.turnId, 0))?.events, [FIRST])
    t.same((await recent.log.read(recent.turnId, 0))?.events, [FIRST, last(2)])
    await running.leave()
  })

  t.test('a database that is away is said to be', async t => {
    const away = new PostgresPool({ url: 'postgresql://nobody@127.0.0.1:1/none', max: 1, log: new RecordingLog() })
    const log = new PostgresTurnLog({ pool: away })
    const refusal = { code: 'STORE_UNAVAILABLE', retryAfterSeconds: 5 }
    await t.rejects(log.read(randomUUID(), 0), refusal)
    await t.rejects(log.append(randomUUID(), { session, clientId: 'key', leaseId: randomUUID() }, [FIRST]), refusal)
    await t.rejects(log.forget(['s-1']), refusal)
    await away.close()
  })
}
