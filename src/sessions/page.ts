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
  const { limit, cursor } = query
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new ServiceError('REQUEST_INVALID', { message: `limit must be a positive integer, received ${limit}` })
  }
  const found: Session[] = []
  let after: Position | undefined = cursor === undefined ? undefined : parseCursor(cursor)
  for (let visited = SESSIONS_PER_TURN; visited === SESSIONS_PER_TURN && found.length <= limit;) {
    visited = 0
    for (const session of listed.walk(after)) {
      after = session
      if (matches(session, query)) found.push(session)
      if (++visited === SESSIONS_PER_TURN || found.length > limit) break
    }
    if (visited === SESSIONS_PER_TURN) await nextTurn()
  }
  const sessions = found.slice(0, limit)
  const last = sessions.at(-1)
  const nextCursor = found.length > limit && last !== undefined ? formatCursor(last) : null
  return { sessions, count: countMatches(listed.tally(), query), nextCursor }
}

function matches (session: Session, { platform, hasPendingApproval }: SessionQuery): boolean {
  return (platform === undefined || session.platform === platform) &&
    (hasPendingApproval === undefined || hasPendingApproval === (session.pendingApproval !== null))
}

function countMatches (tally: Tally, { platform: wanted, hasPendingApproval }: SessionQuery): number {
  let count = 0
  for (const [platform, { all, pending }] of tally.counts) {
    if (wanted !== undefined && wanted !== platform) continue
    count += hasPendingApproval === undefined ? all : hasPendingApproval ? pending : all - pending
  }
  return count
}
