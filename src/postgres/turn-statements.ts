import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { isCoded } from '../errors.ts'
import { isConnectionLost } from './errors.ts'
import type { PostgresPool } from './pool.ts'
import { listSessionColumns } from './session-columns.ts'

/** How a ticket stands in the queue of its session. */
export interface TurnPlace {
  /** The server's time. */
  readonly nowMs: number
  readonly isFirst: boolean
  /** Somebody asked for the turn to end. */
  readonly isCancelled: boolean
  /** Until the first of those ahead may be dead; below 0 if one is, whose last write is still under way. */
  readonly waitMs: number
  /** The session, once it is the ticket's turn: columns of `holdline.sessions` as texts; undefined if there is none. */
  readonly row: unknown
}

/** What became of leases that were asked about. */
export interface LeaseStates {
  /** The server's time. */
  readonly nowMs: number
  readonly renewed: ReadonlySet<string>
  /** Those that are still there: one that is, and was not renewed, is just being written. */
  readonly known: ReadonlySet<string>
  readonly cancelled: ReadonlySet<string>
}

/** A turn that was asked to end. */
export interface TurnOutcome {
  /** `null` while it runs. */
  readonly outcome: 'interrupted' | 'ended' | null
  /** Until its lease ends if nobody renews it. */
  readonly leftMs: number
}

const PlaceRow = Type.Object({
  now_ms: Type.Number(),
  is_first: Type.Boolean(),
  is_cancelled: Type.Boolean(),
  wait_ms: Type.Number(),
  session_id: Type.Union([Type.String(), Type.Null()])
})

const StatesRow = Type.Object({
  now_ms: Type.Number(),
  renewed: Type.Array(Type.String()),
  known: Type.Array(Type.String()),
  cancelled: Type.Array(Type.String())
})

const OutcomeRow = Type.Object({
  outcome: Type.Union([Type.Literal('interrupted'), Type.Literal('ended'), Type.Null()]),
  left_ms: Type.Number()
})

const NextRow = Type.Object({ lease: Type.Union([Type.String(), Type.Null()]) })

const LeaseRow = Type.Object({ lease: Type.String() })

const NOW = 'extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms'

const PLACE = `${NOW}, turn.is_first, turn.is_cancelled, turn.wait_ms, ${listSessionColumns('(turn.found)')}`
const ENTER = `SELECT ${PLACE} FROM holdline.enter_turn($1, $2, $3, $4, $5) AS turn`
const LOOK = `SELECT ${PLACE} FROM holdline.look_at_turn($1, $2) AS turn`

const ALIVE = 'SELECT t.lease::text FROM holdline.turns t WHERE t.lease = ANY ($1::uuid[]) AND t.outcome IS NULL AND t.until >= clock_timestamp()'
const STATES = `ARRAY (${ALIVE}) AS known, ARRAY (${ALIVE} AND t.cancel_requested) AS cancelled`

/** Never waits for a ticket that is being written: all others would be late with it. */
const RENEW = `
WITH free AS (
  SELECT t.ticket FROM holdline.turns t
  WHERE t.lease = ANY ($1::uuid[]) AND t.outcome IS NULL AND t.until >= clock_timestamp() FOR NO KEY UPDATE SKIP LOCKED
), renewed AS (
  UPDATE holdline.turns t SET until = clock_timestamp() + $2 * interval '1 millisecond' FROM free WHERE t.ticket = free.ticket RETURNING t.lease
)
SELECT ${NOW}, ARRAY (SELECT lease::text FROM renewed) AS renewed, ${STATES}`

const FIND = `SELECT ${NOW}, ARRAY[]::text[] AS renewed, ${STATES}`

const ASK_TO_END = `
WITH asked AS (
  UPDATE holdline.turns t SET cancel_requested = true
  WHERE t.lease = (SELECT x.lease FROM holdline.turns x WHERE x.session_id = $1 AND x.outcome IS NULL ORDER BY x.ticket LIMIT 1)
    AND t.outcome IS NULL AND t.until >= clock_timestamp() AND t.owner <> $2
  RETURNING t.lease
)
SELECT lease, pg_notify('holdline', 'lease:' || lease) FROM asked`

const FIND_OUTCOME = `
SELECT outcome, extract(epoch FROM until - clock_timestamp())::float8 * 1000 AS left_ms FROM holdline.turns WHERE lease = $1`

/** Of sessions that nobody enters any more. */
const DROP_REMAINS = `
DELETE FROM holdline.turns WHERE ticket IN (
  SELECT ticket FROM holdline.turns WHERE until < clock_timestamp() - interval '1 minute' LIMIT 1000 FOR UPDATE SKIP LOCKED
)`

/** A failed attempt of a statement that may be sent twice was of no account if it took no longer than this: a connection had just broken. */
const SEND_AGAIN_WITHIN_MS = 1000

/** Whether the same statement may succeed a moment later: the server could not be reached, took too long, or chose this one out of several. */
export function isPassing (error: unknown): boolean {
  return isConnectionLost(error) || ['40001', '40P01', '55P03', '57014'].some(code => isCoded(error, code))
}

/** What is asked of the table of turns, each in one round trip. */
export class TurnStatements {
  readonly #pool: Pick<PostgresPool, 'query'>
  readonly #ttlMs: number

  constructor (pool: Pick<PostgresPool, 'query'>, ttlMs: number) {
    this.#pool = pool
    this.#ttlMs = ttlMs
  }

  /** Takes a ticket; undefined if as many as `maxWaiting` wait already. */
  async enter (sessionId: string, leaseId: string, owner: string, maxWaiting: number | undefined): Promise<TurnPlace | undefined> {
    const limit = maxWaiting === undefined || maxWaiting === Infinity ? null : maxWaiting
    return readPlace(await this.#send(ENTER, [sessionId, leaseId, owner, limit, this.#ttlMs]))
  }

  /** Undefined if the ticket is dead. */
  async look (sessionId: string, leaseId: string): Promise<TurnPlace | undefined> {
    return readPlace(await this.#pool.query(LOOK, [sessionId, leaseId]))
  }

  /** Takes the ticket away, and lets the one who waits next know: resolves to their lease. */
  async leave (leaseId: string, wasInterrupted: boolean): Promise<string | undefined> {
    const [row] = await this.#pool.query('SELECT holdline.leave_turn($1, $2) AS lease', [leaseId, wasInterrupted])
    return Value.Parse(NextRow, row).lease ?? undefined
  }

  async renew (leaseIds: readonly string[]): Promise<LeaseStates> {
    return readStates(await this.#pool.query(RENEW, [leaseIds, this.#ttlMs]))
  }

  async find (leaseIds: readonly string[]): Promise<LeaseStates> {
    return readStates(await this.#pool.query(FIND, [leaseIds]))
  }

  /** Asks for the end of the turn that a session runs elsewhere than with this owner: its lease; undefined if there is none. */
  async askToEnd (sessionId: string, owner: string): Promise<string | undefined> {
    const [row] = await this.#send(ASK_TO_END, [sessionId, owner])
    return row === undefined ? undefined : Value.Parse(LeaseRow, row).lease
  }

  /** Undefined if the lease is gone. */
  async findOutcome (leaseId: string): Promise<TurnOutcome | undefined> {
    const [row] = await this.#send(FIND_OUTCOME, [leaseId])
    if (row === undefined) return undefined
    const { outcome, left_ms: leftMs } = Value.Parse(OutcomeRow, row)
    return { outcome, leftMs }
  }

  /** Takes away the tickets that died a while ago, of all replicas. */
  async dropRemains (): Promise<void> {
    await this.#pool.query(DROP_REMAINS)
  }

  /** Once more if a connection breaks: for what comes to the same when it is done twice. */
  async #send (text: string, values: readonly unknown[]): Promise<object[]> {
    const sentAtMs = performance.now()
    try {
      return await this.#pool.query(text, values)
    } catch (error) {
      if (!isPassing(error) || performance.now() - sentAtMs > SEND_AGAIN_WITHIN_MS) throw error
      return await this.#pool.query(text, values)
    }
  }
}

function readPlace ([found]: readonly object[]): TurnPlace | undefined {
  if (found === undefined) return undefined
  const place: Static<typeof PlaceRow> = Value.Parse(PlaceRow, found)
  const { now_ms: nowMs, is_first: isFirst, is_cancelled: isCancelled, wait_ms: waitMs } = place
  return { nowMs, isFirst, isCancelled, waitMs, row: place.session_id === null ? undefined : found }
}

function readStates ([found]: readonly object[]): LeaseStates {
  const { now_ms: nowMs, renewed, known, cancelled } = Value.Parse(StatesRow, found)
  return { nowMs, renewed: new Set(renewed), known: new Set(known), cancelled: new Set(cancelled) }
}
