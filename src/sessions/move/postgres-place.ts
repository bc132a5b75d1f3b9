import type { PostgresPool } from '../../postgres/pool.ts'
import { SESSION_COLUMNS } from '../../postgres/session-columns.ts'
import type { SessionRecord } from '../kept-session.ts'
import { readRow } from '../postgres/row.ts'
import { BATCH_SIZE, type RecordBatches, type SessionPlace } from './place.ts'
import { findAskedMs } from './record.ts'

/** `interval` counts in microseconds and months; of a number with a fraction, a part of the time would be lost. */
const toTime = (column: string): string => `timestamptz 'epoch' + ${column} * interval '1 millisecond'`

const WRITE = `INSERT INTO holdline.sessions
    (session_id, user_id, platform, thread_id, created_at, last_activity, pending_approval, metadata, extra, asked_at)
  SELECT session_id, user_id, platform, thread_id, ${toTime('created_ms')}, ${toTime('active_ms')}, pending_approval::json, metadata::json, extra::json,
    ${toTime('asked_ms')}
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::bigint[])
    AS new (session_id, user_id, platform, thread_id, created_ms, active_ms, pending_approval, metadata, extra, asked_ms)
  ON CONFLICT (session_id) DO UPDATE SET user_id = excluded.user_id, platform = excluded.platform, thread_id = excluded.thread_id,
    created_at = excluded.created_at, last_activity = excluded.last_activity, pending_approval = excluded.pending_approval,
    metadata = excluded.metadata, extra = excluded.extra, asked_at = excluded.asked_at, revision = sessions.revision + 1`

/** Sessions in the table that a service has them in. The pool is the caller's to close. */
export class PostgresSessionPlace implements SessionPlace {
  readonly notes: readonly string[] = []
  readonly isWrittenAnew = false
  readonly #pool: PostgresPool

  constructor (pool: PostgresPool) {
    this.#pool = pool
  }

  /** In the order of their ids. */
  async * read (): AsyncGenerator<SessionRecord[]> {
    const select = `SELECT ${SESSION_COLUMNS} FROM holdline.sessions WHERE session_id > $1 ORDER BY session_id LIMIT ${BATCH_SIZE}`
    for (let after = ''; ;) {
      const records = (await this.#pool.query(select, [after])).map(row => readRow(row).record)
      const last = records.at(-1)
      if (last === undefined) return
      after = last.sessionId
      yield records
    }
  }

  async find (sessionIds: readonly string[]): Promise<Map<string, SessionRecord>> {
    const rows = await this.#pool.query(`SELECT ${SESSION_COLUMNS} FROM holdline.sessions WHERE session_id = ANY($1::text[])`, [sessionIds])
    return new Map(rows.map(row => readRow(row).record).map(record => [record.sessionId, record]))
  }

  async write (batches: RecordBatches): Promise<void> {
    for await (const records of batches) {
      if (records.length === 0) continue
      const column = <T>(read: (record: SessionRecord) => T): T[] => records.map(read)
      await this.#pool.query(WRITE, [
        column(({ sessionId }) => sessionId), column(({ userId }) => userId), column(({ platform }) => platform), column(({ threadId }) => threadId),
        column(({ createdAtMs }) => createdAtMs), column(({ lastActivityMs }) => lastActivityMs),
        column(({ pendingApproval }) => pendingApproval === '' ? null : pendingApproval),
        column(({ metadata }) => metadata), column(({ extra }) => extra), column(record => findAskedMs(record) ?? null)
      ])
    }
  }

  check (): void {}

  async remove (sessionIds: readonly string[]): Promise<void> {
    await this.#pool.query('DELETE FROM holdline.sessions WHERE session_id = ANY($1::text[])', [sessionIds])
  }

  async readMark (): Promise<string | undefined> {
    const [row] = await this.#pool.query<{ source: string }>('SELECT source FROM holdline.moves LIMIT 1')
    return row?.source
  }

  async mark (source: string): Promise<void> {
    await this.#pool.query('INSERT INTO holdline.moves (source) VALUES ($1) ON CONFLICT DO NOTHING', [source])
  }

  async unmark (): Promise<void> {
    await this.#pool.query('DELETE FROM holdline.moves')
  }

  async close (): Promise<void> {}
}
