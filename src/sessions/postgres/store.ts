import { ServiceError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { PostgresPool } from '../../postgres/pool.ts'
import type { PostgresTurnQueue } from '../../postgres/turn-queue.ts'
import { endPage, countMatches, readStart } from '../page.ts'
import type { Session } from '../session.ts'
import { takeStock } from '../stock.ts'
import type {
  LoadReport, LockOptions, SessionCount, SessionLock, SessionPage, SessionQuery, SessionStore, StoreObserver, StoreStatus
} from '../store.ts'
import { SessionChanges } from './changes.ts'
import { SessionReads } from './reads.ts'
import { refuseStart } from './refusal.ts'
import { parseRow } from './row.ts'
import { SessionTally } from './tally.ts'
import { SessionWrites } from './writes.ts'

/** What a store is opened with. The pool and the turns are not its own: it closes neither. */
export interface PostgresSessionStoreOptions {
  readonly pool: Pick<PostgresPool, 'query' | 'status'>
  readonly turns: Pick<PostgresTurnQueue, 'enter' | 'interrupt'>
  /** A session silent for longer has expired. */
  readonly timeoutMs: number
  /** The clock of the server, as all replicas have it. */
  readonly now: () => number
  readonly log: Log
  readonly observer: StoreObserver
}

/**
 * Sessions in a table of Postgres that any number of replicas share.
 *
 * *Promise.* What `SessionStore` promises, by the transactions of Postgres: durable as its `synchronous_commit` says, which is on the disk unless
 * somebody changed it. A change in a turn is one query while nobody else changes the session. JSON that a change leaves alone stays as
 * it was written, to the byte.
 *
 * *Not promised.* Counts of the very moment where counting takes long.
 */
export class PostgresSessionStore implements SessionStore {
  readonly #options: PostgresSessionStoreOptions
  readonly #reads: SessionReads
  readonly #writes: SessionWrites
  readonly #tally: SessionTally
  readonly #changes: SessionChanges
  #state: 'closed' | 'opening' | 'open' | 'closing' = 'closed'
  #opening: Promise<LoadReport> | undefined

  /** @throws TypeError for an option that makes no sense, saying what came. */
  constructor (options: PostgresSessionStoreOptions) {
    const { pool, timeoutMs, observer } = options
    if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1) throw new TypeError(`timeoutMs must be a positive integer, received ${timeoutMs}`)
    this.#options = options
    const cutoffMs = (): number => this.#cutoffMs
    this.#reads = new SessionReads({ pool, cutoffMs })
    this.#tally = new SessionTally({ pool, cutoffMs })
    this.#writes = new SessionWrites({ pool, observer })
    this.#changes = new SessionChanges({ reads: this.#reads, writes: this.#writes, cutoffMs })
  }

  async open (): Promise<LoadReport> {
    if (this.#state !== 'closed') throw new TypeError(`A session store opens once; this one is ${this.#state}`)
    this.#state = 'opening'
    const opening = this.#opening = this.#load().catch(refuseStart)
    try {
      const report = await opening
      if (this.#isIn('opening')) this.#state = 'open'
      return report
    } catch (error) {
      if (this.#isIn('opening')) this.#state = 'closed'
      throw error
    }
  }

  async close (): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closing'
    // Whoever called open() hears of its failure.
    await this.#opening?.catch(() => {})
    await this.#changes.settle()
    this.#state = 'closed'
  }

  status (): StoreStatus {
    if (this.#state !== 'open') return { kind: 'postgres', canSave: false, reason: `the store is ${this.#state}` }
    return { kind: 'postgres', ...this.#options.pool.status() }
  }

  lagMs (): number {
    return 0
  }

  async get (sessionId: string): Promise<Session | undefined> {
    return (await this.#readable.find(sessionId))?.session
  }

  async findByUser (userId: string, platform?: string): Promise<Session[]> {
    return await this.#readable.findByUser(userId, platform)
  }

  async findLatest (userIds: readonly string[], platform: string): Promise<Session | undefined> {
    return await this.#readable.findLatest(userIds, platform)
  }

  async findThreads (threadIds: readonly string[]): Promise<Set<string>> {
    return await this.#readable.findThreads(threadIds)
  }

  async list (query: SessionQuery): Promise<SessionPage> {
    const reads = this.#readable
    const [found, tally] = await Promise.all([reads.list(readStart(query), query), this.#tally.read()])
    return { ...endPage(found, query.limit), count: countMatches(tally, query) }
  }

  async count (): Promise<SessionCount> {
    this.#checkReadable()
    return await this.#tally.count()
  }

  async findOldestQuestion (): Promise<number | undefined> {
    return await this.#readable.findOldestQuestion()
  }

  async create (session: Session): Promise<void> {
    await this.#changeable.create(session)
  }

  async continueOrCreate (userId: string, platform: string, create: () => Session): Promise<{ session: Session, isNew: boolean }> {
    return await this.#changeable.continueOrCreate(userId, platform, create)
  }

  async update (sessionId: string, change: (session: Session) => Session): Promise<Session> {
    return await this.#changeable.update(sessionId, change)
  }

  async delete (sessionId: string): Promise<Session | undefined> {
    return await this.#changeable.remove(sessionId)
  }

  async removeSilentSince (cutoffMs: number, limit: number): Promise<Session[]> {
    return await this.#changeable.removeSilentSince(cutoffMs, limit)
  }

  async lock (sessionId: string, options?: LockOptions): Promise<SessionLock> {
    const { lease, row, release } = await this.#options.turns.enter(sessionId, options)
    const known = row === undefined ? undefined : parseRow(row)
    if (known !== undefined) this.#changes.hold(known)
    return {
      session: known?.session,
      lease,
      release: async wasInterrupted => {
        this.#changes.letGo(sessionId)
        await release(wasInterrupted)
      }
    }
  }

  async interrupt (sessionId: string): Promise<boolean> {
    return await this.#options.turns.interrupt(sessionId)
  }

  async #load (): Promise<LoadReport> {
    const { now, timeoutMs, log } = this.#options
    const report = await takeStock({ changes: this.#changes, reads: this.#reads, count: () => this.#tally.count(), nowMs: now(), timeoutMs })
    const { loaded, expired } = report
    log.info({ loaded, expired }, `There are ${loaded} sessions in Postgres`)
    return report
  }

  get #changeable (): SessionChanges {
    if (this.#state !== 'open') throw this.#refusal()
    return this.#changes
  }

  /** Reads are served until the last change under way is saved. */
  get #readable (): SessionReads {
    this.#checkReadable()
    return this.#reads
  }

  #checkReadable (): void {
    if (this.#state !== 'open' && this.#state !== 'closing') throw this.#refusal()
  }

  #refusal (): ServiceError {
    const cause = new Error(`The session store is ${this.#state}`)
    return new ServiceError(this.#state === 'opening' ? 'STORE_UNAVAILABLE' : 'SERVICE_STOPPING', { cause, retryAfterSeconds: 5 })
  }

  #isIn (state: string): boolean {
    return this.#state === state
  }

  get #cutoffMs (): number {
    return this.#options.now() - this.#options.timeoutMs
  }
}
