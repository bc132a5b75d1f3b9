import type { Tracer } from '@opentelemetry/api'
import type { Conversations } from './agent/conversations.ts'
import type { Log } from './log.ts'
import type { RequestCount } from './request-counts.ts'
import type { SessionStore, StoreObserver } from './sessions/store.ts'
import type { TurnLog } from './turn-log.ts'

/** How sessions are kept. */
export interface EngineSessionOptions {
  readonly timeoutMs: number
  readonly now: () => number
  readonly log: Log
  readonly observer: StoreObserver
}

/** How conversations are kept. */
export interface EngineConversationOptions {
  readonly now: () => number
  readonly log: Log
  readonly tracer?: Tracer | undefined
}

/**
 * What keeps everything that outlives a process, and what the replicas of the service tell each other: files on one machine, or a server that all
 * replicas share.
 *
 * *Promise.* Opened before it is handed out, and closed after everything that it made. What one replica was told is there for all.
 */
export interface Engine {
  /** As in SESSION_STORE. */
  readonly kind: 'csv' | 'postgres' | 'redis'
  /** Milliseconds since the epoch, by the one clock of all replicas: a machine whose own is wrong keeps the time of the others. */
  readonly now: () => number
  /** To be called once; the store is yet to be opened. */
  createSessionStore (options: EngineSessionOptions): SessionStore
  /** To be called once. Throws FILE_LOCKED or FILE_INVALID. */
  openConversations (options: EngineConversationOptions): Promise<Conversations>
  /** Counts one more request of a key, in windows that the first request begins. All windows of one `kind` of key are of one length. */
  count (kind: string, key: string, windowMs: number): Promise<RequestCount>
  /** Whether this replica is to do a task now: of all that ask within `forMs`, one is, and it alone may ask again. */
  lead (task: string, forMs: number): Promise<boolean>
  /** Undefined where there is no other replica to read it. */
  readonly turnLog: TurnLog | undefined
  /** Safe to call twice. */
  close (): Promise<void>
}
