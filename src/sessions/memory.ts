import { ServiceError } from '../errors.ts'
import { formatCursor, parseCursor } from './cursor.ts'
import { MultiMap } from './multi-map.ts'
import { ActivityOrder, compareActivity } from './order.ts'
import type { Session } from './session.ts'
import type { SessionCount, SessionPage, SessionQuery } from './store.ts'

interface Tally { all: number, pending: number }

/** What the table needs to tell the living from the expired. */
export interface SessionTableOptions {
  /** A session silent for longer is absent from every read. */
  readonly timeoutMs: number
  readonly now: () => number
  /** Sessions in the middle of a turn never expire. */
  readonly isHeld: (sessionId: string) => boolean
}

/**
 * The sessions in memory.
 *
 * *Promise.* `get`, `count`, `findByUser`, `put` and `remove` cost the same at 100 sessions and at 100 000; to leave out the expired, a read
 * looks at the expired alone.
 *
 * *Not promised.* A page with a condition that few sessions meet walks over those that do not.
 */
export class SessionTable {
  readonly #options: SessionTableOptions
  readonly #byId = new Map<string, Session>()
  readonly #byUser = new MultiMap()
  readonly #byThread = new MultiMap()
  readonly #byActivity = new ActivityOrder()
  readonly #tallies = new Map<string, Tally>()

  constructor (options: SessionTableOptions) {
    this.#options = options
  }

  /** All sessions, the expired included. */
  get size (): number {
    return this.#byId.size
  }

  get (sessionId: string): Session | undefined {
    const session = this.#byId.get(sessionId)
    return session !== undefined && this.isLive(session) ? session : undefined
  }

  /** A session even if it has expired. */
  getStored (sessionId: string): Session | undefined {
    return this.#byId.get(sessionId)
  }

  isHeld (sessionId: string): boolean {
    return this.#options.isHeld(sessionId)
  }

  /** Whether a session is still there for its readers: not silent for too long, or in the middle of a turn. */
  isLive (session: Session): boolean {
    return this.#options.now() - session.lastActivityMs <= this.#options.timeoutMs || this.isHeld(session.sessionId)
  }

  /** Most recently active first. */
  findByUser (userId: string, platform?: string): Session[] {
    return [...this.#byUser.get(userId)]
      .map((id) => this.get(id))
      .filter((session) => session !== undefined)
      .filter((session) => platform === undefined || session.platform === platform)
      .sort((a, b) => compareActivity(b, a))
  }

  findThreads (threadIds: readonly string[]): Set<string> {
    const isUsed = (threadId: string): boolean => [...this.#byThread.get(threadId)].some((id) => this.get(id) !== undefined)
    return new Set(threadIds.filter(isUsed))
  }

  /** @throws ServiceError REQUEST_INVALID for a cursor or limit that cannot be read. */
  list (query: SessionQuery): SessionPage {
    const { limit, cursor } = query
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new ServiceError('REQUEST_INVALID', { message: `limit must be a positive integer, received ${limit}` })
    }
    const sessions: Session[] = []
    let hasMore = false
    for (const session of this.#byActivity.walk(cursor === undefined ? undefined : parseCursor(cursor))) {
      if (!matches(session, query) || !this.isLive(session)) continue
      hasMore = sessions.length === limit
      if (hasMore) break
      sessions.push(session)
    }
    const last = sessions.at(-1)
    return { sessions, count: this.#countMatches(query), nextCursor: hasMore && last !== undefined ? formatCursor(last) : null }
  }

  count (): SessionCount {
    const tallies = new Map([...this.#tallies].map(([platform, tally]) => [platform, { ...tally }]))
    for (const session of this.#expired()) addTo(tallies, session, -1)
    const found = [...tallies]
    return {
      count: found.reduce((sum, [, { all }]) => sum + all, 0),
      pendingApprovals: found.reduce((sum, [, { pending }]) => sum + pending, 0),
      byPlatform: Object.fromEntries(found.map(([platform, { all }]) => [platform, all]))
    }
  }

  /** The sessions whose last activity is before the cut-off, the expired included; costs what it finds. */
  * silentSince (cutoffMs: number): Generator<Session> {
    for (const session of this.#byActivity.walk()) {
      if (session.lastActivityMs >= cutoffMs) return
      yield session
    }
  }

  /** All sessions, the expired included, longest silent first. The table must not change meanwhile. */
  walk (): Generator<Session> {
    return this.#byActivity.walk()
  }

  /** Adds a session, or replaces the one of the same id. */
  put (session: Session): void {
    this.remove(session.sessionId)
    this.#byId.set(session.sessionId, session)
    this.#byUser.add(session.userId, session.sessionId)
    this.#byThread.add(session.threadId, session.sessionId)
    this.#byActivity.add(session)
    addTo(this.#tallies, session, 1)
  }

  remove (sessionId: string): void {
    const session = this.#byId.get(sessionId)
    if (session === undefined) return
    this.#byId.delete(sessionId)
    this.#byUser.remove(session.userId, sessionId)
    this.#byThread.remove(session.threadId, sessionId)
    this.#byActivity.remove(session)
    addTo(this.#tallies, session, -1)
  }

  * #expired (): Generator<Session> {
    for (const session of this.silentSince(this.#options.now() - this.#options.timeoutMs)) {
      if (!this.isHeld(session.sessionId)) yield session
    }
  }

  #countMatches (query: SessionQuery): number {
    let count = 0
    for (const [platform, { all, pending }] of this.#tallies) {
      if (query.platform !== undefined && query.platform !== platform) continue
      count += query.hasPendingApproval === undefined ? all : query.hasPendingApproval ? pending : all - pending
    }
    for (const session of this.#expired()) if (matches(session, query)) count--
    return count
  }
}

function matches (session: Session, { platform, hasPendingApproval }: SessionQuery): boolean {
  return (platform === undefined || session.platform === platform) &&
    (hasPendingApproval === undefined || hasPendingApproval === (session.pendingApproval !== null))
}

function addTo (tallies: Map<string, Tally>, { platform, pendingApproval }: Session, sign: 1 | -1): void {
  const tally = tallies.get(platform) ?? { all: 0, pending: 0 }
  tally.all += sign
  if (pendingApproval !== null) tally.pending += sign
  if (tally.all === 0) tallies.delete(platform)
  else tallies.set(platform, tally)
}
