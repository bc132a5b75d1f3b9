import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { setTimeout as pause } from 'node:timers/promises'
import type { EventName, TurnEvent } from '../turn-events.ts'
import type { LoggedTurn, TurnLog, TurnLogPart } from '../turn-log.ts'
import { refuseFailure } from '../turn-refusal.ts'
import type { PostgresPool } from './pool.ts'

/** Where the events of turns are kept, and how many. */
export interface PostgresTurnLogOptions {
  readonly pool: Pick<PostgresPool, 'query'>
  readonly maxTurnBytes?: number
  /** Between two looks of one who follows a turn. */
  readonly pollMs?: number
  /** How long the last event of a turn may take to arrive after its lease has gone. */
  readonly settleMs?: number
  readonly dropOldEveryMs?: number
}

const NAMES: readonly EventName[] = ['session', 'token', 'tool_call', 'tool_result', 'message', 'error']
const Name = Type.Unsafe<EventName>(Type.Union(NAMES.map(name => Type.Literal(name))))
const Events = Type.Array(Type.Object({ position: Type.Integer(), name: Name, data: Type.String() }))

const PartRow = Type.Object({
  session_id: Type.String(),
  user_id: Type.String(),
  platform: Type.String(),
  client_id: Type.String(),
  is_running: Type.Boolean(),
  batches: Type.Array(Type.String())
})

/** The batch with the first event stays; of the others, the newest that have room. */
const APPEND = `
WITH sizes AS (
  SELECT first_position, sum(octet_length(events)) OVER (ORDER BY first_position DESC) AS bytes
  FROM holdline.turn_events WHERE turn_id = $1 AND first_position > 1
), gone AS (
  DELETE FROM holdline.turn_events e USING sizes s
  WHERE e.turn_id = $1 AND e.first_position = s.first_position AND s.bytes + octet_length($9::text) > $10
)
INSERT INTO holdline.turn_events (turn_id, first_position, last_position, session_id, user_id, platform, client_id, lease, events)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (turn_id, first_position) DO NOTHING`

const READ = `
SELECT e.session_id, e.user_id, e.platform, e.client_id,
  EXISTS (SELECT 1 FROM holdline.turns t WHERE t.lease = e.lease AND t.outcome IS NULL AND t.until >= clock_timestamp()) AS is_running,
  ARRAY (SELECT b.events FROM holdline.turn_events b WHERE b.turn_id = $1 AND b.last_position > $2 ORDER BY b.first_position) AS batches
FROM holdline.turn_events e WHERE e.turn_id = $1 ORDER BY e.first_position DESC LIMIT 1`

/** Of turns that have been silent for as long, and do not run. */
const DROP_OLD = `
DELETE FROM holdline.turn_events WHERE (turn_id, first_position) IN (
  SELECT e.turn_id, e.first_position FROM holdline.turn_events e
  WHERE e.written_at < clock_timestamp() - interval '6 minutes'
    AND NOT EXISTS (SELECT 1 FROM holdline.turn_events n WHERE n.turn_id = e.turn_id AND n.written_at >= clock_timestamp() - interval '6 minutes')
    AND NOT EXISTS (SELECT 1 FROM holdline.turns t WHERE t.lease = e.lease AND t.until >= clock_timestamp())
  LIMIT 10000 FOR UPDATE SKIP LOCKED
)`

/**
 * The events of streamed turns, in a table that a crash of the server empties.
 *
 * *Promise.* Events come in order and without a gap. Of a turn with more than `maxTurnBytes` of them, the oldest but the first go; a reader who
 * missed some is given the last event alone, once there is one. A turn is not said to have ended without its last event before that had the time to
 * arrive.
 *
 * *Not promised.* To tell at once: who follows looks every `pollMs`. To notify them would cost every turn something, for the sake of the few whose
 * clients come back to another replica.
 */
export class PostgresTurnLog implements TurnLog {
  readonly #options: Required<PostgresTurnLogOptions>
  #oldDroppedAtMs = performance.now()

  constructor (options: PostgresTurnLogOptions) {
    this.#options = { maxTurnBytes: 1024 * 1024, pollMs: 200, settleMs: 1000, dropOldEveryMs: 60_000, ...options }
  }

  async append (turnId: string, turn: LoggedTurn & { readonly leaseId: string }, events: readonly TurnEvent[]): Promise<void> {
    const { pool, maxTurnBytes } = this.#options
    const all = JSON.stringify(events)
    // A batch that is too large by itself: what is dropped of it leaves a gap.
    const kept = Buffer.byteLength(all) > maxTurnBytes ? events.filter(isEdge) : events
    const [first] = kept
    const last = kept.at(-1)
    if (first === undefined || last === undefined) return
    const { session: { sessionId, userId, platform }, clientId, leaseId } = turn
    const text = kept === events ? all : JSON.stringify(kept)
    const values = [turnId, first.position, last.position, sessionId, userId, platform, clientId, leaseId, text, maxTurnBytes]
    await refuseFailure(async () => await pool.query(APPEND, values))
    await this.#dropOld()
  }

  async read (turnId: string, afterPosition: number): Promise<TurnLogPart | undefined> {
    const part = await this.#read(turnId, afterPosition)
    if (part === undefined || part.isRunning || part.events.some(isLast)) return part
    await pause(this.#options.settleMs, undefined, { ref: false })
    return await this.#read(turnId, afterPosition)
  }

  follow (_turnId: string, wake: () => void): () => void {
    const timer = setInterval(wake, this.#options.pollMs).unref()
    return () => { clearInterval(timer) }
  }

  async forget (sessionIds: readonly string[]): Promise<void> {
    const { pool } = this.#options
    await refuseFailure(async () => await pool.query('DELETE FROM holdline.turn_events WHERE session_id = ANY ($1::text[])', [sessionIds]))
  }

  async #read (turnId: string, afterPosition: number): Promise<TurnLogPart | undefined> {
    const { pool } = this.#options
    const [found] = await refuseFailure(async () => await pool.query(READ, [turnId, afterPosition]))
    if (found === undefined) return undefined
    const { session_id: sessionId, user_id: userId, platform, client_id: clientId, is_running: isRunning, batches } = Value.Parse(PartRow, found)
    const events = batches.flatMap(batch => Value.Parse(Events, JSON.parse(batch))).filter(({ position }) => position > afterPosition)
    return { session: { sessionId, userId, platform }, clientId, isRunning, events: leaveOutAfterGap(events, afterPosition) }
  }

  async #dropOld (): Promise<void> {
    const { pool, dropOldEveryMs } = this.#options
    if (performance.now() - this.#oldDroppedAtMs < dropOldEveryMs) return
    this.#oldDroppedAtMs = performance.now()
    await refuseFailure(async () => await pool.query(DROP_OLD))
  }
}

function isLast ({ name }: TurnEvent): boolean {
  return name === 'message' || name === 'error'
}

function isEdge (event: TurnEvent): boolean {
  return event.name === 'session' || isLast(event)
}

/** An answer with a hole in it is worse than none: what follows on the position, then the last event. */
function leaveOutAfterGap (events: readonly TurnEvent[], afterPosition: number): TurnEvent[] {
  const gapAt = events.findIndex(({ position }, index) => position !== afterPosition + 1 + index)
  if (gapAt < 0) return [...events]
  return [...events.slice(0, gapAt), ...events.slice(gapAt).filter(isLast)]
}
