import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createWrites, FencedTurns } from '../fixtures/fenced-turns.ts'
import { NO_PGBOUNCER, PgBouncer } from '../fixtures/pgbouncer.ts'
import { PostgresServer } from '../fixtures/postgres.ts'
import { createTurnTables, TurnReplica } from '../fixtures/turn-replica.ts'

/** Short, so that leases end while turns run. */
const TTL_MS = 500

const server = await PostgresServer.start(t)

async function setUp (t: Test, reach = (url: string) => url): Promise<{ replicas: TurnReplica[], url: string }> {
  const url = await server.createDatabase()
  await createTurnTables(url)
  const replicas = [
    await TurnReplica.start(t, reach(url), { ttlMs: TTL_MS }),
    await TurnReplica.start(t, reach(url), { ttlMs: TTL_MS }),
    // Its heart does not beat: what it holds for longer than a lease, it loses. Its turns write on all the same.
    await TurnReplica.start(t, reach(url), { ttlMs: TTL_MS, renewMs: 100_000 })
  ]
  const [first] = replicas
  if (first !== undefined) await createWrites(first)
  return { replicas, url }
}

const Turn = fc.record({ turn: fc.nat(2), session: fc.nat(1), writes: fc.integer({ min: 1, max: 4 }), workMs: fc.constantFrom(0, 5, 250) })

/** What happens, one after another. */
const Step = fc.oneof(
  { weight: 8, arbitrary: Turn },
  { weight: 2, arbitrary: fc.record({ cancel: fc.nat(2), session: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ kill: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ waitMs: fc.constantFrom(1, 20, 100) }) }
)

async function killConnections (url: string, keep: number): Promise<void> {
  const replica = new TurnReplica(url)
  // Every third of them, beginning with another one each time.
  await replica.pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid % 3 = $1`, [keep])
  await replica.close()
}

async function testSteps (t: Test, reach?: (url: string) => string): Promise<void> {
  const { replicas, url } = await setUp(t, reach)
  const turns = new FencedTurns()
  const at = (index: number): TurnReplica => {
    const replica = replicas[index]
    if (replica === undefined) throw new RangeError('There is no such replica')
    return replica
  }
  await fc.assert(fc.asyncProperty(fc.array(Step, { minLength: 10, maxLength: 30 }), async steps => {
    const all: Array<Promise<unknown>> = []
    for (const step of steps) {
      if ('turn' in step) {
        const work = async (): Promise<void> => { await pause(step.workMs) }
        all.push(turns.run(at(step.turn), `s-${step.session}`, { writes: step.writes, work, isHeedless: step.turn === 2 }))
      }
      if ('cancel' in step) all.push(at(step.cancel).queue.interrupt(`s-${step.session}`).catch(() => false))
      if ('kill' in step) await killConnections(url, step.kill)
      if ('waitMs' in step) await pause(step.waitMs)
    }
    await Promise.all(all)
    return turns.overlaps === 0 && turns.surprises.length === 0 && (await turns.findMixed(at(0))).length === 0
  }), { numRuns: 6, endOnFailure: true })
  t.ok(turns.written > 0)
  t.comment(`${turns.written} writes, ${turns.failed} turns cut off or refused`)
}

t.test('whatever happens to replicas and their connections, two turns of a session never run at once, and what they write never mixes', async t => {
  await testSteps(t)
})

t.test('through PgBouncer in transaction mode it is the same', { skip: NO_PGBOUNCER }, async t => {
  const bouncer = await PgBouncer.start(t, server)
  await testSteps(t, url => bouncer.addressOf(url))
})

for (const [how, restart] of Object.entries({
  'is restarted': async (): Promise<void> => { await server.stop() },
  crashes: async (): Promise<void> => { await server.crash() }
})) {
  t.test(`when the server ${how}, what turns write never mixes, and turns go on afterwards`, async t => {
    const { replicas } = await setUp(t)
    const turns = new FencedTurns()
    // The server is what keeps the process alive otherwise.
    const alive = setInterval(() => {}, 100_000)
    t.after(() => { clearInterval(alive) })
    const over = new AbortController()
    const talk = async (replica: TurnReplica, sessionId: string): Promise<void> => {
      const work = async (): Promise<void> => { await pause(5) }
      while (!over.signal.aborted) {
        await turns.run(replica, sessionId, { writes: 3, work })
        // While the server is away, each fails at once.
        await work()
      }
    }
    const all = replicas.flatMap(replica => ['s-1', 's-2'].map(async sessionId => { await talk(replica, sessionId) }))
    for (let round = 0; round < 2; round++) {
      await pause(300)
      await restart()
      await pause(TTL_MS / 2)
      await server.start()
      const before = turns.written
      while (turns.written < before + 20) await pause(20)
    }
    over.abort()
    await Promise.all(all)
    const [first] = replicas
    t.same(first === undefined ? undefined : await turns.findMixed(first), [])
    t.same(turns.surprises, [])
    if (how === 'is restarted') t.equal(turns.overlaps, 0)
    t.comment(`${turns.written} writes, ${turns.failed} turns cut off or refused, ${turns.overlaps} overlaps`)
  })
}

t.end()
