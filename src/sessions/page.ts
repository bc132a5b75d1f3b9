import { setImmediate as nextTurn } from 'node:timers/promises'
import { ServiceError } from '../errors.ts'
import { formatCursor, parseCursor } from './cursor.ts'
import type { Position } from './order.ts'
import type { Session } from './session.ts'
import type { SessionPage, SessionQuery } from './store.ts'
import type { Tally } from './tally.ts'

/** Looked at before the event loop gets its turn: a fraction of a millisecond's worth. */
const SESSIONS_PER_TURN = 2000

/** The sessions that pages are cut from, as they are at the moment. */
export interface Listed {
  /** Longest silent first, beginning behind a position if one is given. */
  walk (after: Position | undefined): Iterable<Session>
  tally (): Tally
}

/**
 * Cuts a page, giving way to others while few sessions meet its conditions.
 *
 * @throws ServiceError REQUEST_INVALID for a cursor or limit that cannot be read.
 */
export async function cutPage (listed: Listed, query: SessionQuery): Promise<SessionPage> {
  const { limit } = query
  const found: Session[] = []
  let after = readStart(query)
  for (let visited = SESSIONS_PER_TURN; visited === SESSIONS_PER_TURN && found.length <= limit;) {
    visited = 0
    for (const session of listed.walk(after)) {
      after = session
      if (matches(session, query)) found.push(session)
      if (++visited === SESSIONS_PER_TURN || found.length > limit) break
    }
    if (visited === SESSIONS_PER_TURN) await nextTurn()
  }
  return { ...endPage(found, limit), count: countMatches(listed.tally(), query) }
}

/**
 * The position behind which a page begins; undefined for the first one.
 *
 * @throws ServiceError REQUEST_INVALID for a cursor or limit that cannot be read.
 */
export function readStart ({ limit, cursor }: SessionQuery): Position | undefined {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new ServiceError('REQUEST_INVALID', { message: `limit must be a positive integer, received ${limit}` })
  }
  return cursor === undefined ? undefined : parseCursor(cursor)
}

/** A page out of what was found, of which one more than fits says that another page follows. */
export function endPage (found: readonly Session[], limit: number): Omit<SessionPage, 'count'> {
  const sessions = found.slice(0, limit)
  const last = sessions.at(-1)
  return { sessions, nextCursor: found.length > limit && last !== undefined ? formatCursor(last) : null }
}

function matches (session: Session, { platform, hasPendingApproval }: SessionQuery): boolean {
  return (platform === undefined || session.platform === platform) &&
    (hasPendingApproval === undefined || hasPendingApproval === (session.pendingApproval !== null))
}

/** How many of the sessions of a tally match. */
export function countMatches (tally: Pick<Tally, 'counts'>, { platform: wanted, hasPendingApproval }: SessionQuery): number {
  let count = 0
  for (const [platform, { all, pending }] of tally.counts) {
    if (wanted !== undefined && wanted !== platform) continue
    count += hasPendingApproval === undefined ? all : hasPendingApproval ? pending : all - pending
  }
  return count
}
