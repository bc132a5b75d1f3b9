import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { KeptSession } from '../kept-session.ts'
import { countMatches, endPage, readStart } from '../page.ts'
import type { Session } from '../session.ts'
import type { SessionCount, SessionPage, SessionQuery } from '../store.ts'
import { sumCounts, type TallyCount } from '../tally.ts'
import { COUNT, FIND, FIND_BY_USER, FIND_LATEST, FIND_OLDEST_QUESTION, FIND_THREADS, WALK } from './reads.ts'
import { listSessions, type SessionScripts } from './scripts.ts'

/** Sessions that one script answers, or threads that one is asked about: others wait for a fraction of a millisecond. */
const PART = 200

const Found = Type.Tuple([Type.Array(Type.Unknown()), Type.Integer()])
const Walked = Type.Tuple([Type.Array(Type.Unknown()), Type.Integer(), Type.String(), Type.String()])
const Names = Type.Array(Type.String())
const Counts = Type.Array(Type.Union([Type.String(), Type.Integer()]))

/** Reads of the sessions in Redis. What takes long is asked for in parts. */
export class SessionReads {
  readonly #scripts: SessionScripts
  readonly #cutoffMs: () => number

  /** @param cutoffMs Since when a session must have been active. */
  constructor (scripts: SessionScripts, cutoffMs: () => number) {
    this.#scripts = scripts
    this.#cutoffMs = cutoffMs
  }

  async find (sessionId: string): Promise<KeptSession | undefined> {
    return this.#scripts.parse(await this.#scripts.read(FIND, this.#cutoffMs(), sessionId))
  }

  /** Most recently active first. */
  async findByUser (userId: string, platform = ''): Promise<Session[]> {
    const found = new Map<string, Session>()
    for (let from = 0, looked = PART; looked === PART; from += PART) {
      const answer = await this.#scripts.read(FIND_BY_USER, this.#cutoffMs(), userId, platform, from, PART)
      const [rows, count] = Value.Parse(Found, answer)
      for (const { session } of this.#scripts.parseRows(rows)) if (!found.has(session.sessionId)) found.set(session.sessionId, session)
      looked = count
    }
    return [...found.values()]
  }

  async findLatest (userIds: readonly string[], platform: string): Promise<Session | undefined> {
    return this.#scripts.parse(await this.#scripts.read(FIND_LATEST, this.#cutoffMs(), platform, ...userIds))?.session
  }

  async findThreads (threadIds: readonly string[]): Promise<Set<string>> {
    const used = new Set<string>()
    for (let from = 0; from < threadIds.length; from += PART) {
      const answer = await this.#scripts.read(FIND_THREADS, this.#cutoffMs(), ...threadIds.slice(from, from + PART))
      for (const threadId of Value.Parse(Names, answer)) used.add(threadId)
    }
    return used
  }

  async list (query: SessionQuery): Promise<SessionPage> {
    const { limit, platform = '', hasPendingApproval } = query
    const question = hasPendingApproval === undefined ? '' : Number(hasPendingApproval)
    const start = readStart(query)
    const cutoffMs = this.#cutoffMs()
    const tallied = this.#tally()
    const found: Session[] = []
    let afterMs: string | number = start?.lastActivityMs ?? ''
    let afterId = start?.sessionId ?? ''
    for (let isEnd = 0; isEnd === 0 && found.length <= limit;) {
      const most = Math.min(PART, limit + 1 - found.length)
      const [walked] = await Promise.all([this.#scripts.read(WALK, cutoffMs, afterMs, afterId, most, platform, question), tallied])
      const [rows, end, ms, id] = Value.Parse(Walked, walked)
      found.push(...listSessions(this.#scripts.parseRows(rows)))
      isEnd = end
      afterMs = ms
      afterId = id
    }
    return { ...endPage(found, limit), count: countMatches({ counts: await tallied }, query) }
  }

  async count (): Promise<SessionCount> {
    return sumCounts(await this.#tally())
  }

  async findOldestQuestion (): Promise<number | undefined> {
    const askedMs = await this.#scripts.read(FIND_OLDEST_QUESTION, this.#cutoffMs())
    return typeof askedMs === 'string' ? Number(askedMs) : undefined
  }

  async #tally (): Promise<ReadonlyMap<string, TallyCount>> {
    const answer = Value.Parse(Counts, await this.#scripts.read(COUNT, this.#cutoffMs()))
    const counts = new Map<string, TallyCount>()
    for (let place = 0; place < answer.length; place += 3) {
      counts.set(String(answer[place]), { all: Number(answer[place + 1]), pending: Number(answer[place + 2]) })
    }
    return counts
  }
}
