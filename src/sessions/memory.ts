import { SessionIndexes } from './indexes.ts'
import { compareActivity, type Ordered, type Position } from './order.ts'
import { cutPage } from './page.ts'
import type { Session } from './session.ts'
import type { SessionCount, SessionPage, SessionQuery } from './store.ts'
import { sumCounts, Tally } from './tally.ts'

/** A session, and what its store keeps beside it to save it. */
export interface StoredSession<Row> {
  readonly session: Session
  readonly row: Row
}

/** The place of a session in the table: a change of it writes here. */
interface Entry<Row> extends Ordered {
  row: Row
  /** Rises with each session that is new in the table. */
  readonly birth: number
}

/** What the table needs to tell the living from the expired. */
export interface SessionTableOptions {
  /** A session silent for longer is absent from every read. */
  readonly timeoutMs: number
  readonly now: () => number
  /** Sessions in the middle of a turn never expire. */
  readonly locks: {
    isHeld (sessionId: string): boolean
    /** The ids of those sessions: few. */
    held (): Iterable<string>
  }
}

/**
 * The sessions in memory.
 *
 * *Promise.* `get`, `count`, `findByUser`, `put` and `remove` cost the same at 100 sessions and at 100 000, however many have expired.
 *
 * *Not promised.* A page with a condition that few sessions meet walks over those that do not, giving way to others.
 */
export class SessionTable<Row> {
  readonly #options: SessionTableOptions
  readonly #byId = new Map<string, Entry<Row>>()
  readonly #indexes = new SessionIndexes()
  #births = 0

  constructor (options: SessionTableOptions) {
    this.#options = options
  }

  /** All sessions, the expired included. */
  get size (): number {
    return this.#byId.size
  }

  get (sessionId: string): Session | undefined {
    const session = this.find(sessionId)?.session
    return session !== undefined && this.isLive(session) ? session : undefined
  }

  /** A session even if it has expired, as it is until the next change. */
  find (sessionId: string): StoredSession<Row> | undefined {
    return this.#byId.get(sessionId)
  }

  /**
   * All sessions, in the order in which they came. Whatever changes meanwhile, each comes at most once, and each that is there from the beginning
   * to the end comes. One that is new, or was removed and is there again, does not.
   */
  * walk (): Generator<StoredSession<Row>> {
    const end = this.#births
    // A Map is walked in the order in which its keys came, and a key that gets a new value keeps its place.
    for (const entry of this.#byId.values()) if (entry.birth < end) yield entry
  }

  isHeld (sessionId: string): boolean {
    return this.#options.locks.isHeld(sessionId)
  }

  /** Whether a session is still there for its readers: not silent for too long, or in the middle of a turn. */
  isLive (session: Session): boolean {
    return this.#options.now() - session.lastActivityMs <= this.#options.timeoutMs || this.isHeld(session.sessionId)
  }

  /** Most recently active first. */
  findByUser (userId: string, platform?: string): Session[] {
    return [...this.#indexes.byUser.get(userId)]
      .map((id) => this.get(id))
      .filter((session) => session !== undefined)
      .filter((session) => platform === undefined || session.platform === platform)
      .sort((a, b) => compareActivity(b, a))
  }

  findThreads (threadIds: readonly string[]): Set<string> {
    const isUsed = (threadId: string): boolean => [...this.#indexes.byThread.get(threadId)].some((id) => this.get(id) !== undefined)
    return new Set(threadIds.filter(isUsed))
  }

  /** @throws ServiceError REQUEST_INVALID for a cursor or limit that cannot be read. */
  async list (query: SessionQuery): Promise<SessionPage> {
    return await cutPage({ walk: (after) => this.#walkLive(after), tally: () => this.#tallyLive() }, query)
  }

  count (): SessionCount {
    return sumCounts(this.#tallyLive().counts)
  }

  /** When the question was asked that has waited longest, in milliseconds since the epoch; undefined if nothing waits. */
  findOldestQuestion (): number | undefined {
    return this.#indexes.questions.findOldest((sessionId) => this.get(sessionId) !== undefined)
  }

  /** To be called once when a file is loaded, whose rows stand in any order. */
  sortQuestions (): void {
    this.#indexes.questions.sort()
  }

  /** The sessions whose last activity is before the cut-off, the expired included; costs what it finds. */
  * silentSince (cutoffMs: number): Generator<Session> {
    for (const session of this.#indexes.byActivity.walk()) {
      if (session.lastActivityMs >= cutoffMs) return
      yield session
    }
  }

  /** Adds a session, or replaces the one of the same id. */
  put (session: Session, row: Row): void {
    const entry = this.#byId.get(session.sessionId)
    if (entry !== undefined) {
      entry.row = row
      this.#indexes.change(entry, session)
      return
    }
    const added: Entry<Row> = { session, row, birth: this.#births++, bucket: undefined }
    this.#byId.set(session.sessionId, added)
    this.#indexes.add(added)
  }

  remove (sessionId: string): void {
    const entry = this.#byId.get(sessionId)
    if (entry === undefined) return
    this.#byId.delete(sessionId)
    this.#indexes.remove(entry)
  }

  #tallyLive (): Tally {
    const tally = new Tally()
    tally.addAll(this.#indexes.tally)
    tally.removeAll(this.#indexes.byActivity.tallyBefore(this.#cutoffMs))
    for (const session of this.#heldBeyondTime()) tally.add(session)
    return tally
  }

  /** Longest silent first. The table must not change meanwhile. */
  * #walkLive (after: Position | undefined): Generator<Session> {
    const cutoff: Position = { lastActivityMs: this.#cutoffMs, sessionId: '' }
    const held = this.#heldBeyondTime().sort(compareActivity)
    yield * after === undefined ? held : held.filter((session) => compareActivity(session, after) > 0)
    yield * this.#indexes.byActivity.walk(after === undefined || compareActivity(after, cutoff) < 0 ? cutoff : after)
  }

  /** The sessions that would have expired, were they not in the middle of a turn. */
  #heldBeyondTime (): Session[] {
    return [...this.#options.locks.held()]
      .map((sessionId) => this.find(sessionId)?.session)
      .filter((session) => session !== undefined)
      .filter(({ lastActivityMs }) => lastActivityMs < this.#cutoffMs)
  }

  get #cutoffMs (): number {
    return this.#options.now() - this.#options.timeoutMs
  }
}
