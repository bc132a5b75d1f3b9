import { isCutOff } from '../../postgres/errors.ts'
import type { PostgresPool } from '../../postgres/pool.ts'
import type { KeptSession } from '../kept-session.ts'
import type { Position } from '../order.ts'
import type { Session } from '../session.ts'
import type { SessionQuery } from '../store.ts'
import { refuseSession } from './refusal.ts'
import { parseRow } from './row.ts'
import { FIND, FIND_BY_USER, FIND_LATEST, FIND_OLDEST_QUESTION, FIND_THREADS, LIST, LIST_AFTER } from './statements.ts'

/** Connections that break under one statement: after a restart of the server, each may be one of before. */
const MAX_ATTEMPTS = 3

/** Runs a statement that may be sent again where a connection breaks under it; tells whether that was so. */
export async function sendAgain<Row extends object> (
  pool: Pick<PostgresPool, 'query'>, text: string, values: readonly unknown[]
): Promise<{ readonly rows: Row[], readonly wasCutOff: boolean }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return { rows: await pool.query<Row>(text, values), wasCutOff: attempt > 1 }
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !isCutOff(error)) throw error
    }
  }
}

/** What is read with. */
export interface SessionReadsOptions {
  readonly pool: Pick<PostgresPool, 'query'>
  /** Since when a session must have been active to be there, unless a turn of it runs or waits. */
  readonly cutoffMs: () => number
}

/** Reads of the table of sessions, each one query; one that a broken connection cut off is made again. Sessions that have expired are not there. */
export class SessionReads {
  readonly #options: SessionReadsOptions

  constructor (options: SessionReadsOptions) {
    this.#options = options
  }

  async find (sessionId: string): Promise<KeptSession | undefined> {
    if (!isStorable(sessionId)) return undefined
    const [row] = await this.#ask(FIND, [sessionId])
    return row === undefined ? undefined : parseRow(row)
  }

  async findByUser (userId: string, platform: string | undefined): Promise<Session[]> {
    if (!isStorable(userId) || !isStorable(platform ?? '')) return []
    return (await this.#ask(FIND_BY_USER, [userId, platform ?? null])).map(row => parseRow(row).session)
  }

  async findLatest (userIds: readonly string[], platform: string): Promise<Session | undefined> {
    if (!isStorable(platform)) return undefined
    const [row] = await this.#ask(FIND_LATEST, [userIds.filter(isStorable), platform])
    return row === undefined ? undefined : parseRow(row).session
  }

  async findThreads (threadIds: readonly string[]): Promise<Set<string>> {
    if (threadIds.length === 0) return new Set()
    const rows = await this.#ask<{ thread_id: string }>(FIND_THREADS, [threadIds.filter(isStorable)])
    return new Set(rows.map(row => row.thread_id))
  }

  /** The sessions of a page, and one more if there is one. */
  async list (after: Position | undefined, { limit, platform, hasPendingApproval }: SessionQuery): Promise<Session[]> {
    if (!isStorable(platform ?? '')) return []
    const values = [limit + 1, platform ?? null, hasPendingApproval ?? null]
    const rows = after === undefined
      ? await this.#ask(LIST, values)
      : await this.#ask(LIST_AFTER, [...values, boundTime(after.lastActivityMs), after.sessionId.replaceAll('\0', '')])
    return rows.map(row => parseRow(row).session)
  }

  async findOldestQuestion (): Promise<number | undefined> {
    const [row] = await this.#ask<{ asked_ms: number }>(FIND_OLDEST_QUESTION, [])
    return row?.asked_ms
  }

  async #ask<Row extends object> (text: string, values: readonly unknown[]): Promise<Row[]> {
    try {
      return (await sendAgain<Row>(this.#options.pool, text, [this.#options.cutoffMs(), ...values])).rows
    } catch (error) {
      throw refuseSession(error)
    }
  }
}

/** Whether a text can stand in a column: what cannot is found in none. */
function isStorable (text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

/** A time that Postgres knows; a cursor that no page gave may hold any number. */
function boundTime (timeMs: number): number {
  const farMs = 8e15
  return Math.max(-6e13, Math.min(timeMs, farMs))
}
