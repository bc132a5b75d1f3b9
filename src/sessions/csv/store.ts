import { randomUUID } from 'node:crypto'
import { ServiceError } from '../../errors.ts'
import type { Changes } from '../changes.ts'
import type { SessionTable } from '../memory.ts'
import type { Session } from '../session.ts'
import type {
  LoadReport, LockOptions, SessionCount, SessionLock, SessionPage, SessionQuery, SessionStore, StoreStatus
} from '../store.ts'
import { TurnLocks } from '../turn-lock.ts'
import { realFiles } from './files.ts'
import { observeSyncs, UNOBSERVED } from './observed-files.ts'
import type { RowText } from './row-text.ts'
import { checkOptions, closeFile, openFile, type CsvSessionStoreOptions, type Opened } from './open.ts'

type State =
  | { readonly name: 'closed' }
  | { readonly name: 'opening', readonly work: Promise<Opened> }
  | { readonly name: 'open', readonly opened: Opened }
  | { readonly name: 'closing', readonly work: Promise<void>, readonly opened: Opened | undefined }

/**
 * Sessions in a CSV file, and in a journal beside it once they are many.
 *
 * *Promise.* What `SessionStore` promises; one writer a file; whoever opens the file reads a whole one, which holds each change when it is
 * acknowledged up to a thousand sessions, and soon after beyond. A row that cannot be read is kept beside the file, and so is what somebody else
 * wrote into it before that is replaced. After a close the file is the whole.
 */
export class CsvSessionStore implements SessionStore {
  readonly #options: Required<CsvSessionStoreOptions>
  readonly #turns = new TurnLocks()
  #state: State = { name: 'closed' }

  /** @throws TypeError for an option that makes no sense, saying what came. */
  constructor (options: CsvSessionStoreOptions) {
    checkOptions(options)
    const { files = realFiles, observer = UNOBSERVED } = options
    this.#options = { now: Date.now, newId: randomUUID, retryMs: 1000, ...options, observer, files: observeSyncs(files, observer) }
  }

  async open (): Promise<LoadReport> {
    if (this.#state.name !== 'closed') throw new TypeError(`A session store opens once; this one is ${this.#state.name}`)
    const work = openFile(this.#options, this.#turns)
    this.#state = { name: 'opening', work }
    try {
      const opened = await work
      if (this.#isOpening(work)) this.#state = { name: 'open', opened }
      return opened.report
    } catch (error) {
      if (this.#isOpening(work)) this.#state = { name: 'closed' }
      throw error
    }
  }

  async close (): Promise<void> {
    const state = this.#state
    if (state.name === 'closed') return
    if (state.name === 'closing') return await state.work
    const work = this.#closeFrom(state)
    this.#state = { name: 'closing', work, opened: state.name === 'open' ? state.opened : undefined }
    await work
  }

  status (): StoreStatus {
    if (this.#state.name !== 'open') return { kind: 'csv', canSave: false, reason: `the store is ${this.#state.name}` }
    const { commit: { failure }, follower: { lag } } = this.#state.opened
    if (failure !== undefined) return { kind: 'csv', canSave: false, reason: failure }
    return lag === undefined ? { kind: 'csv', canSave: true } : { kind: 'csv', canSave: true, reason: `the session file cannot be rewritten: ${lag}` }
  }

  lagMs (): number {
    return this.#state.name === 'open' ? this.#state.opened.follower.lagMs : 0
  }

  async get (sessionId: string): Promise<Session | undefined> {
    return this.#table.get(sessionId)
  }

  async findByUser (userId: string, platform?: string): Promise<Session[]> {
    return this.#table.findByUser(userId, platform)
  }

  async findLatest (userIds: readonly string[], platform: string): Promise<Session | undefined> {
    for (const userId of userIds) {
      const [latest] = this.#table.findByUser(userId, platform)
      if (latest !== undefined) return latest
    }
    return undefined
  }

  async findThreads (threadIds: readonly string[]): Promise<Set<string>> {
    return this.#table.findThreads(threadIds)
  }

  async list (query: SessionQuery): Promise<SessionPage> {
    return await this.#table.list(query)
  }

  async count (): Promise<SessionCount> {
    return this.#table.count()
  }

  async findOldestQuestion (): Promise<number | undefined> {
    return this.#table.findOldestQuestion()
  }

  create (session: Session): Promise<void> {
    return this.#change((changes) => { changes.add(session) })
  }

  continueOrCreate (userId: string, platform: string, create: () => Session): Promise<{ session: Session, isNew: boolean }> {
    return this.#change((changes) => {
      const latest = changes.findLatest(userId, platform)
      if (latest !== undefined) return { session: latest, isNew: false }
      const session = create()
      changes.add(session)
      return { session, isNew: true }
    })
  }

  update (sessionId: string, change: (session: Session) => Session): Promise<Session> {
    return this.#change((changes) => changes.update(sessionId, change))
  }

  delete (sessionId: string): Promise<Session | undefined> {
    return this.#change((changes) => changes.remove(sessionId))
  }

  removeSilentSince (cutoffMs: number, limit: number): Promise<Session[]> {
    return this.#change((changes) => changes.removeSilentSince(cutoffMs, limit))
  }

  async lock (sessionId: string, options?: LockOptions): Promise<SessionLock> {
    const { release } = await this.#turns.lock(sessionId, options)
    const session = this.#state.name === 'open' ? this.#table.get(sessionId) : undefined
    return { session, lease: undefined, release: async () => { release() } }
  }

  /** There is no other process. */
  async interrupt (): Promise<boolean> {
    return false
  }

  /** Reads are served until the last change under way is saved. */
  get #table (): SessionTable<RowText> {
    if ((this.#state.name === 'open' || this.#state.name === 'closing') && this.#state.opened !== undefined) return this.#state.opened.table
    throw this.#refusal()
  }

  #change<T> (change: (changes: Changes<RowText>) => T): Promise<T> {
    return this.#state.name === 'open' ? this.#state.opened.commit.change(change) : Promise.reject(this.#refusal())
  }

  #refusal (): ServiceError {
    const cause = new Error(`The session store is ${this.#state.name}`)
    return new ServiceError(this.#state.name === 'opening' ? 'STORE_UNAVAILABLE' : 'SERVICE_STOPPING', { cause, retryAfterSeconds: 5 })
  }

  #isOpening (work: Promise<Opened>): boolean {
    return this.#state.name === 'opening' && this.#state.work === work
  }

  async #closeFrom (state: Extract<State, { name: 'opening' | 'open' }>): Promise<void> {
    try {
      // Whoever called open() hears of its failure; nothing is left to close then.
      const opened = state.name === 'open' ? state.opened : await state.work.catch(() => undefined)
      if (opened !== undefined) await closeFile(opened, this.#options)
    } finally {
      this.#state = { name: 'closed' }
    }
  }
}
