import type { Tracer } from '@opentelemetry/api'
import { withSpan } from '../trace.ts'
import type { Session } from './session.ts'
import type { LoadReport, LockOptions, SessionCount, SessionLock, SessionPage, SessionQuery, SessionStore, StoreStatus } from './store.ts'

/** A store whose changes are traced, each until it is durable, and the wait for the turn of a session. Reads are not: they are served from memory. */
export class TracedSessionStore implements SessionStore {
  readonly #store: SessionStore
  readonly #tracer: Tracer

  constructor (store: SessionStore, tracer: Tracer) {
    this.#store = store
    this.#tracer = tracer
  }

  open (): Promise<LoadReport> {
    return this.#store.open()
  }

  close (): Promise<void> {
    return this.#store.close()
  }

  status (): StoreStatus {
    return this.#store.status()
  }

  get (sessionId: string): Promise<Session | undefined> {
    return this.#store.get(sessionId)
  }

  findByUser (userId: string, platform?: string): Promise<Session[]> {
    return this.#store.findByUser(userId, platform)
  }

  findLatest (userIds: readonly string[], platform: string): Promise<Session | undefined> {
    return this.#store.findLatest(userIds, platform)
  }

  findThreads (threadIds: readonly string[]): Promise<Set<string>> {
    return this.#store.findThreads(threadIds)
  }

  list (query: SessionQuery): Promise<SessionPage> {
    return this.#store.list(query)
  }

  count (): Promise<SessionCount> {
    return this.#store.count()
  }

  create (session: Session): Promise<void> {
    return this.#trace('session_store create', () => this.#store.create(session))
  }

  lagMs (): number {
    return this.#store.lagMs()
  }

  findOldestQuestion (): Promise<number | undefined> {
    return this.#store.findOldestQuestion()
  }

  continueOrCreate (userId: string, platform: string, create: () => Session): Promise<{ session: Session, isNew: boolean }> {
    return withSpan(this.#tracer, { name: 'session_store continue_or_create' }, async span => {
      const found = await this.#store.continueOrCreate(userId, platform, create)
      span.setAttribute('is_new', found.isNew)
      return found
    })
  }

  update (sessionId: string, change: (session: Session) => Session): Promise<Session> {
    return this.#trace('session_store update', () => this.#store.update(sessionId, change))
  }

  delete (sessionId: string): Promise<Session | undefined> {
    return this.#trace('session_store delete', () => this.#store.delete(sessionId))
  }

  removeSilentSince (cutoffMs: number, limit: number): Promise<Session[]> {
    return this.#trace('session_store remove_silent', () => this.#store.removeSilentSince(cutoffMs, limit))
  }

  lock (sessionId: string, options?: LockOptions): Promise<SessionLock> {
    return this.#trace('wait for turn', () => this.#store.lock(sessionId, options))
  }

  interrupt (sessionId: string): Promise<boolean> {
    return this.#store.interrupt(sessionId)
  }

  #trace<T> (name: string, run: () => Promise<T>): Promise<T> {
    return withSpan(this.#tracer, { name }, run)
  }
}
