import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { LEASE_CHECK_LUA } from '../../src/redis/lease-lua.ts'
import type { QueuedTurn } from '../../src/redis/turn-queue.ts'
import { NO_REDIS, RedisServer } from '../fixtures/redis.ts'
import { startReplica, type RedisReplica } from '../fixtures/redis-turns.ts'

/** Leases that end within a run, where nobody renews them. */
const TTL_MS = 200

const SESSIONS = ['one', 'two']

/** Writes who wrote, under the lease, with the number that the lease was given in order. */
const WRITE = `${LEASE_CHECK_LUA}
local lost = check_lease(ARGV[1])
if lost then return lost end
return redis.call('RPUSH', '{holdline}:written:' .. ARGV[2], redis.call('HGET', '{holdline}:lease:' .. ARGV[1], 'fence'))`

/** A turn of a replica: when it asks, how long it lasts, what it writes on the way, and whether it leaves before it is over. */
interface Turn {
  readonly replica: number
  readonly sessionId: string
  readonly afterMs: number
  readonly lastsMs: number
  readonly writes: number
  readonly leavesAfterMs: number | undefined
}

/** Something that goes wrong, or is asked for, meanwhile. */
interface Trouble {
  readonly afterMs: number
  readonly what: 'connections cut' | 'events cut' | 'pause' | 'interrupt'
}

const TURNS: fc.Arbitrary<Turn[]> = fc.array(fc.record({
  replica: fc.nat(2),
  sessionId: fc.constantFrom(...SESSIONS),
  afterMs: fc.nat(300),
  lastsMs: fc.oneof(fc.nat(20), fc.nat(2 * TTL_MS)),
  writes: fc.integer({ min: 1, max: 4 }),
  leavesAfterMs: fc.option(fc.nat(300), { nil: undefined, freq: 4 })
}), { minLength: 4, maxLength: 16 })

const TROUBLES: fc.Arbitrary<Trouble[]> = fc.array(fc.record({
  afterMs: fc.nat(400),
  what: fc.constantFrom('connections cut', 'events cut', 'pause', 'interrupt')
}), { maxLength: 4 })

/** How a turn may end that is not let through to its own end. */
const ENDS = new Set(['TURN_TAKEN_OVER', 'TURN_CANCELLED', 'TURN_QUEUE_FULL', 'STORE_UNAVAILABLE', 'LEFT'])

async function runTurn ({ queue, redis }: RedisReplica, { sessionId, afterMs, lastsMs, writes, leavesAfterMs }: Turn): Promise<string> {
  await wait(afterMs)
  const leave = new AbortController()
  const leaving = leavesAfterMs === undefined ? undefined : setTimeout(() => { leave.abort({ code: 'LEFT' }) }, leavesAfterMs)
  let turn: QueuedTurn | undefined
  try {
    turn = await queue.enter(sessionId, { maxWaiting: 6, signal: leave.signal })
    for (let written = 0; written < writes; written++) {
      await wait(lastsMs / writes)
      // What a lease lost is found out by the server alone, or here before.
      await redis.run(WRITE, turn.lease.id, sessionId)
    }
    return 'done'
  } catch (error) {
    return readCode(error)
  } finally {
    clearTimeout(leaving)
    await turn?.release(turn.lease.signal.aborted)
  }
}

async function makeTrouble ([a, b]: readonly [RedisReplica, RedisReplica, RedisReplica], { afterMs, what }: Trouble): Promise<void> {
  await wait(afterMs)
  const { client } = a.redis
  // Some come when the connection has just been cut.
  if (what === 'connections cut') await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => {})
  if (what === 'events cut') await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => {})
  if (what === 'pause') await client.call('CLIENT', 'PAUSE', '100', 'ALL').catch(() => {})
  if (what === 'interrupt') await b.queue.interrupt('one').catch(() => {})
}

function readCode (error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error)
  if ('code' in error) return String(error.code)
  // Of a write: the lease is gone, or the connection.
  return error instanceof Error && /^HL001|Connection|connection|Reached the max retries/.test(error.message) ? 'TURN_TAKEN_OVER' : String(error)
}

t.test('whatever happens, no turn writes after its successor, and no queue stands still', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const url = server.addressOf(0)
  const replicas = await Promise.all([
    startReplica(t, url, { ttlMs: TTL_MS, renewMs: 50 }),
    startReplica(t, url, { ttlMs: TTL_MS, renewMs: 50 }),
    // One that renews nothing: its longer turns are taken over while they run.
    startReplica(t, url, { ttlMs: TTL_MS, renewMs: 1_000_000 })
  ] as const)
  let taken = 0
  let done = 0
  await fc.assert(fc.asyncProperty(TURNS, TROUBLES, async (turns, troubles) => {
    const [ends] = await Promise.all([
      Promise.all(turns.map(async turn => await runTurn(replicas[turn.replica] ?? replicas[0], turn))),
      Promise.all(troubles.map(async trouble => { await makeTrouble(replicas, trouble) }))
    ])
    for (const end of ends) if (end !== 'done' && !ENDS.has(end)) throw new Error(`A turn ended with ${end}`)
    done += ends.filter(end => end === 'done').length
    taken += ends.filter(end => end === 'TURN_TAKEN_OVER').length
    for (const sessionId of SESSIONS) {
      const fences = await replicas[0].redis.run("return redis.call('LRANGE', '{holdline}:written:' .. ARGV[1], 0, -1)", sessionId)
      if (!Array.isArray(fences)) throw new Error('A list was written')
      const numbers = fences.map(Number)
      if (numbers.some((fence, index) => fence < (numbers[index - 1] ?? 0))) throw new Error(`Written by turns in the order ${numbers.join(' ')}`)
      await (await replicas[1].queue.enter(sessionId)).release()
    }
  }), { numRuns: 20, endOnFailure: true })
  t.ok(done > 0, `${done} turns came to their end`)
  t.ok(taken > 0, `${taken} were taken over`)
})
