import { ConversationFile } from './agent/checkpointer.ts'
import type { Conversations } from './agent/conversations.ts'
import type { Engine, EngineConversationOptions, EngineSessionOptions } from './engine.ts'
import { RequestCounts, type RequestCount } from './request-counts.ts'
import { CsvSessionStore } from './sessions/csv/store.ts'
import type { SessionStore } from './sessions/store.ts'

/** More persons than speak within a minute; it takes some 10 MiB. Only a client that makes persons up gets there. */
const MAX_KEYS = 50_000

/** Which files. */
export interface LocalEngineOptions {
  readonly sessionsPath: string
  readonly conversationsPath: string
  readonly fsync: 'always' | 'never'
  readonly now: () => number
}

/** Files of one process on one machine: sessions in a CSV file, conversations in one of SQLite's, everything else in memory. */
export class LocalEngine implements Engine {
  readonly kind = 'csv'
  readonly now: () => number
  readonly turnLog = undefined
  readonly #options: LocalEngineOptions
  readonly #counts = new Map<string, RequestCounts>()

  constructor (options: LocalEngineOptions) {
    this.#options = options
    this.now = options.now
  }

  createSessionStore (options: EngineSessionOptions): SessionStore {
    const { sessionsPath: path, fsync } = this.#options
    return new CsvSessionStore({ path, fsync, ...options })
  }

  async openConversations (options: EngineConversationOptions): Promise<Conversations> {
    return await ConversationFile.open({ path: this.#options.conversationsPath, ...options })
  }

  async count (kind: string, key: string, windowMs: number): Promise<RequestCount> {
    let counts = this.#counts.get(kind)
    if (counts === undefined) this.#counts.set(kind, counts = new RequestCounts({ maxKeys: MAX_KEYS, now: this.now }))
    return counts.add(key, windowMs)
  }

  /** There is no other. */
  async lead (): Promise<boolean> {
    return true
  }

  async close (): Promise<void> {}
}
