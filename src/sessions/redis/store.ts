import { ServiceError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { RedisConnection } from '../../redis/client.ts'
import type { TurnLease } from '../../turn-lease.ts'
import type { Session } from '../session.ts'
import { takeStock } from '../stock.ts'
import type {
  LoadReport, LockOptions, SessionCount, SessionLock, SessionPage, SessionQuery, SessionStore, StoreObserver, StoreStatus
} from '../store.ts'
import { Healing } from './healing.ts'
import { refuseStart, SessionScripts } from './scripts.ts'
import { SessionChanges } from './session-changes.ts'
import { SessionReads } from './session-reads.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** Who lends turns. */
export interface RedisTurns {
  enter (sessionId: string, options?: LockOptions): Promise<{
    readonly lease: TurnLease
    /** The session's hash as it was then. */
    readonly row: Readonly<Record<string, string>> | undefined
    release (wasInterrupted?: boolean): Promise<void>
  }>
  interrupt (sessionId: string): Promise<boolean>
}

/** What a store is made with. */
export interface RedisSessionStoreOptions {
  /** Open, and closed by whoever opened it. */
  readonly connection: Pick<RedisConnection, 'run' | 'read' | 'status'>
  readonly turns: RedisTurns
  readonly timeoutMs: number
  readonly now: () => number
  readonly log: Log
  readonly observer: StoreObserver
}

type State = 'new' | 'opening' | 'open' | 'closing' | 'closed'

/**
 * Sessions in Redis, for all replicas.
 *
 * *Promise.* What `SessionStore` promises, where durable is what the server's `appendfsync` makes of it. A session that nobody removes is dropped by
 * Redis itself, long after it has expired.
 *
 * *Not promised.* That a change which failed for want of an answer was not made, if the server stays away.
 */
export class RedisSessionStore implements SessionStore {
  readonly #options: RedisSessionStoreOptions
  readonly #scripts: SessionScripts
  readonly #reads: SessionReads
  readonly #changes: SessionChanges
  readonly #healing: Healing
  readonly #underWay = new Set<Promise<unknown>>()
  #state: State = 'new'

  /** @throws TypeError for a timeout that makes no sense, saying what came. */
  constructor (options: RedisSessionStoreOptions) {
    const { timeoutMs } = this.#options = options
    if (!(timeoutMs > 0)) throw new TypeError(`timeoutMs must be a positive number, received ${timeoutMs}`)
    const cutoffMs = (): number => options.now() - timeoutMs
    this.#scripts = new SessionScripts(options)
    this.#reads = new SessionReads(this.#scripts, cutoffMs)
    const ttlMs = Math.ceil(2 * timeoutMs + DAY_MS)
    this.#changes = new SessionChanges({ scripts: this.#scripts, reads: this.#reads, cutoffMs, ttlMs })
    this.#healing = new Healing({ scripts: this.#scripts, log: options.log, ttlMs })
  }

  async open (): Promise<LoadReport> {
    if (this.#state !== 'new') throw new TypeError(`A session store opens once; this one is ${this.#state}`)
    this.#state = 'opening'
    const report = await this.#track(this.#load().catch(refuseStart))
    if (this.#isOpening()) this.#state = 'open'
    return report
  }

  async close (): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closing'
    await Promise.allSettled(this.#underWay)
    this.#state = 'closed'
  }

  status (): StoreStatus {
    if (this.#state !== 'open') return { kind: 'redis', canSave: false, reason: `the store is ${this.#state}` }
    return { kind: 'redis', ...this.#options.connection.status() }
  }

  /** Whoever reads, reads the server. */
  lagMs (): number {
    return 0
  }

  async get (sessionId: string): Promise<Session | undefined> {
    return (await this.#run(() => this.#reads.find(sessionId)))?.session
  }

  async findByUser (userId: string, platform?: string): Promise<Session[]> {
    return await this.#run(() => this.#reads.findByUser(userId, platform))
  }

  async findLatest (userIds: readonly string[], platform: string): Promise<Session | undefined> {
    return await this.#run(() => this.#reads.findLatest(userIds, platform))
  }

  async findThreads (threadIds: readonly string[]): Promise<Set<string>> {
    return await this.#run(() => this.#reads.findThreads(threadIds))
  }

  async list (query: SessionQuery): Promise<SessionPage> {
    return await this.#run(() => this.#reads.list(query))
  }

  async count (): Promise<SessionCount> {
    return await this.#run(() => this.#reads.count())
  }

  async findOldestQuestion (): Promise<number | undefined> {
    return await this.#run(() => this.#reads.findOldestQuestion())
  }

  async create (session: Session): Promise<void> {
    await this.#run(() => this.#changes.add(session))
  }

  async continueOrCreate (userId: string, platform: string, create: () => Session): Promise<{ session: Session, isNew: boolean }> {
    return await this.#run(async () => {
      const latest = await this.#reads.findLatest([userId], platform)
      return latest === undefined ? await this.#changes.continueOrAdd(create()) : { session: latest, isNew: false }
    })
  }

  async update (sessionId: string, change: (session: Session) => Session): Promise<Session> {
    return await this.#run(() => this.#changes.update(sessionId, change))
  }

  async delete (sessionId: string): Promise<Session | undefined> {
    return await this.#run(() => this.#changes.remove(sessionId))
  }

  async removeSilentSince (cutoffMs: number, limit: number): Promise<Session[]> {
    return await this.#run(async () => {
      const removed = await this.#changes.removeSilentSince(cutoffMs, limit)
      if (removed.length < limit) await this.#healing.goOn()
      return removed
    })
  }

  async lock (sessionId: string, options?: LockOptions): Promise<SessionLock> {
    this.#refuseUnlessOpen()
    const turn = await this.#options.turns.enter(sessionId, options)
    const kept = this.#scripts.parseHash(sessionId, turn.row)
    if (kept !== undefined) this.#changes.know(sessionId, kept)
    const release = async (wasInterrupted?: boolean): Promise<void> => {
      this.#changes.forget(sessionId)
      await turn.release(wasInterrupted)
    }
    return { session: kept?.session, lease: turn.lease, release }
  }

  async interrupt (sessionId: string): Promise<boolean> {
    this.#refuseUnlessOpen()
    return await this.#options.turns.interrupt(sessionId)
  }

  async #load (): Promise<LoadReport> {
    const { now, timeoutMs } = this.#options
    await this.#healing.begin()
    return await takeStock({ changes: this.#changes, reads: this.#reads, count: () => this.#reads.count(), nowMs: now(), timeoutMs })
  }

  async #run<T> (work: () => Promise<T>): Promise<T> {
    this.#refuseUnlessOpen()
    return await this.#track(work())
  }

  async #track<T> (work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    try {
      return await work
    } finally {
      this.#underWay.delete(work)
    }
  }

  #isOpening (): boolean {
    return this.#state === 'opening'
  }

  #refuseUnlessOpen (): void {
    if (this.#state === 'open') return
    const cause = new Error(`The session store is ${this.#state}`)
    const isBefore = this.#state === 'new' || this.#state === 'opening'
    throw new ServiceError(isBefore ? 'STORE_UNAVAILABLE' : 'SERVICE_STOPPING', { cause, retryAfterSeconds: 5 })
  }
}
