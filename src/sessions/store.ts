import type { TurnLease } from '../turn-lease.ts'
import type { Session } from './session.ts'

/** What a store found when it opened. */
export interface LoadReport {
  readonly loaded: number
  /** Sessions that had been silent too long: not loaded. */
  readonly expired: number
  /** Rows that could not be read: set aside. */
  readonly rejected: number
  /** The threads of the expired sessions that no loaded session refers to: their conversations are to be forgotten. */
  readonly expiredThreads: readonly string[]
}

/** Whether the store can save. */
export interface StoreStatus {
  /** `csv`, `postgres`, `redis`. */
  readonly kind: string
  readonly canSave: boolean
  /** Why not, or what else does not work although changes are saved; in words for an operator, no path, no content. */
  readonly reason?: string
}

/** Told of what a store does, by whoever counts it. Its methods are quick and throw nothing; durations are milliseconds. */
export interface StoreObserver {
  /** So many changes of sessions were made durable together. */
  saved (changes: number, durationMs: number): void
  /** So many changes of sessions could not be saved, and were refused. */
  refused (changes: number): void
  /** The disk was made to keep what it had taken: by `fdatasync`, bytes that were appended; by `fsync`, a whole file or a folder. */
  synced (call: 'fsync' | 'fdatasync', durationMs: number): void
  /** All sessions were written anew, and took the place of what was there. */
  rewrote (durationMs: number): void
}

/** Which sessions a page is cut from; several conditions are all to hold. */
export interface SessionQuery {
  readonly limit: number
  /** A `nextCursor` of an earlier page; valid across restarts. */
  readonly cursor?: string
  readonly platform?: string
  readonly hasPendingApproval?: boolean
}

/** Longest silent first: a walk may meet a session twice and misses none. */
export interface SessionPage {
  readonly sessions: readonly Session[]
  /** All that match, not just this page. */
  readonly count: number
  readonly nextCursor: string | null
}

/** How many sessions there are. */
export interface SessionCount {
  readonly count: number
  readonly pendingApprovals: number
  readonly byPlatform: Readonly<Record<string, number>>
}

/** The right to run a turn of one session. */
export interface SessionLock {
  /** The session as it was when the lock was given; undefined if there is none. */
  readonly session: Session | undefined
  /** What the turn is to run under; undefined where nobody else could take the lock over. */
  readonly lease: TurnLease | undefined
  /**
   * Lets the next waiter in; resolves when it may come in, at the latest when the lease ends; never rejects. A second call does nothing.
   * `wasInterrupted`: `interrupt` is what ended the turn.
   */
  release (wasInterrupted?: boolean): Promise<void>
}

/** How to wait for a lock. */
export interface LockOptions {
  /** Refuses with TURN_QUEUE_FULL when as many are waiting already; without it, no bound. */
  readonly maxWaiting?: number
  /** Called when there is a place in the queue, before any wait. */
  readonly onQueued?: (() => void) | undefined
  /** Leaves the queue when aborted, rejecting with the signal's reason. */
  readonly signal?: AbortSignal
}

/**
 * The contract that every store keeps; `test/contract/session-store.ts` is its proof.
 *
 * *Promise.* A change is durable before its promise resolves; a change that fails leaves the session as it was and rejects with
 * STORE_UNAVAILABLE. Reads never show a change that is not durable yet. Changes of one session are applied one after another, each to the
 * result of the one before. A session silent for longer than the timeout is absent from every read, unless its lock is held.
 * A change under a lease (`currentLease`) that was lost rejects with TURN_TAKEN_OVER, and changes nothing. One lock of a session is held at a time,
 * by all processes that share the store.
 *
 * *Not promised.* No order between changes of different sessions; a lock does not guard against changes by others, it only makes turns wait.
 */
export interface SessionStore {
  /**
   * Loads what is there; an activity that is still to come, of a clock that was ahead, counts as one of this moment from here on. Call once,
   * before anything else; a store that failed to open never writes.
   */
  open (): Promise<LoadReport>
  /** Waits for the changes under way, then lets go of everything. Safe to call in any state, and twice. */
  close (): Promise<void>
  status (): StoreStatus
  /** For how many milliseconds what others read (the session file) has lacked changes that are saved (in its journal); 0 if it lacks none. */
  lagMs (): number

  get (sessionId: string): Promise<Session | undefined>
  /** A person's sessions, most recently active first; of one platform, if named. */
  findByUser (userId: string, platform?: string): Promise<Session[]>
  /** The most recently active session on a platform, of the first of these user ids that has one there. */
  findLatest (userIds: readonly string[], platform: string): Promise<Session | undefined>
  /** Which of these threads a session refers to. */
  findThreads (threadIds: readonly string[]): Promise<Set<string>>
  list (query: SessionQuery): Promise<SessionPage>
  count (): Promise<SessionCount>
  /** When the question was asked that has waited longest for its answer, in milliseconds since the epoch; undefined if nothing waits. */
  findOldestQuestion (): Promise<number | undefined>

  /** Adds a session; rejects with REQUEST_INVALID if its id is taken. */
  create (session: Session): Promise<void>
  /**
   * The most recently active session of this person on this platform, else the one that `create` makes: of calls at the same time one
   * creates, the others continue.
   */
  continueOrCreate (userId: string, platform: string, create: () => Session): Promise<{ session: Session, isNew: boolean }>
  /**
   * Replaces a session by what `change` makes of it and resolves to that. `change` may be called again, must not wait, and may throw to
   * refuse: the error reaches the caller and nothing changes. Rejects with SESSION_NOT_FOUND.
   */
  update (sessionId: string, change: (session: Session) => Session): Promise<Session>
  /** Removes a session and resolves to it, or to undefined if there was none. */
  delete (sessionId: string): Promise<Session | undefined>
  /** Removes at most `limit` sessions whose last activity is before the cut-off, save those whose lock is held, and resolves to them. */
  removeSilentSince (cutoffMs: number, limit: number): Promise<Session[]>

  /** Resolves when all that asked for this session's lock earlier have released it. Needs no session to exist. */
  lock (sessionId: string, options?: LockOptions): Promise<SessionLock>
  /**
   * Ends the turn under whose lock a session is, where that is held by another process: its lease is aborted with TURN_CANCELLED. Resolves when the
   * turn has ended, to whether that is what ended it; to false if no other process holds the lock.
   */
  interrupt (sessionId: string): Promise<boolean>
}
