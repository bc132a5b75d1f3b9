import type { Agent } from './agent/agent.ts'
import type { Log } from './log.ts'
import type { SessionStore } from './sessions/store.ts'

/** A conversation that no session refers to is left alone for a day: somebody may be putting a backup back. */
export const ORPHAN_AGE_MS = 24 * 60 * 60 * 1000

/** An orphan is a day old: it can wait for an hour more, and the walk over all conversations need not be made every few minutes. */
const ORPHAN_INTERVAL_MS = 60 * 60 * 1000

/** Sessions removed, or conversations looked at, before others get their turn. */
const PAGE = 100

/** What a sweep works on. */
export interface SweepOptions {
  readonly store: SessionStore
  readonly agent: Agent
  readonly timeoutMs: number
  readonly keepConversations: boolean
  readonly log: Log
  /** Told of the sessions that were removed. */
  readonly onEnd?: (sessionIds: readonly string[]) => void
  readonly now?: () => number
}

/** What a sweep removed. */
export interface SweepReport {
  readonly sessions: number
  readonly conversations: number
}

/**
 * The cleanup of expired sessions and of conversations that nobody can reach any more.
 *
 * *Promise.* Never removes a session whose turn is running. A conversation that cannot be removed costs no other one, and is tried again.
 *
 * *Not promised.* That a session's conversation goes in the same instant: a crash in between leaves it to a later sweep.
 */
export class Sweep {
  readonly #options: Required<SweepOptions>
  #isStopping = false
  #orphansDueMs = 0

  constructor (options: SweepOptions) {
    this.#options = { now: Date.now, onEnd: () => {}, ...options }
  }

  /** Lets a run end at its next conversation; what is left is for the next start. */
  stop (): void {
    this.#isStopping = true
  }

  /** Runs once. Throws what the store throws. */
  async run (): Promise<SweepReport> {
    const { store, timeoutMs, log, now, onEnd } = this.#options
    const cutoffMs = now() - timeoutMs
    let sessions = 0
    let conversations = 0
    for (let page = PAGE; page === PAGE && !this.#isStopping;) {
      const removed = await store.removeSilentSince(cutoffMs, PAGE)
      if (removed.length > 0) onEnd(removed.map(session => session.sessionId))
      conversations += await this.forget(removed.map(session => session.threadId))
      sessions += removed.length
      page = removed.length
    }
    if (sessions > 0) log.info({ removed: sessions }, `Cleaned up ${sessions} expired sessions`)
    return { sessions, conversations: conversations + await this.#forgetOrphans() }
  }

  /** Forgets these conversations, save those that a session refers to. Resolves to how many. */
  async forget (threadIds: readonly string[]): Promise<number> {
    const { store, agent, keepConversations, log } = this.#options
    if (keepConversations || threadIds.length === 0) return 0
    let forgotten = 0
    const referred = await store.findThreads(threadIds)
    for (const threadId of threadIds) {
      if (this.#isStopping) break
      if (referred.has(threadId)) continue
      try {
        await agent.forget(threadId)
        forgotten++
      } catch (error) {
        log.error({ err: error, thread_id: threadId }, 'A conversation could not be removed; a later sweep tries again')
      }
      // SQLite works in the foreground: between two threads, others get their turn.
      await new Promise(resolve => setImmediate(resolve))
    }
    return forgotten
  }

  async #forgetOrphans (): Promise<number> {
    const { agent, keepConversations, now } = this.#options
    if (keepConversations || now() < this.#orphansDueMs) return 0
    let forgotten = 0
    for (let after = ''; ;) {
      const threads = await agent.listThreads(after, PAGE)
      forgotten += await this.forget(threads.filter(thread => thread.lastWriteMs < now() - ORPHAN_AGE_MS).map(thread => thread.threadId))
      const last = threads.at(-1)
      if (last === undefined || threads.length < PAGE || this.#isStopping) break
      after = last.threadId
      await new Promise(resolve => setImmediate(resolve))
    }
    this.#orphansDueMs = now() + ORPHAN_INTERVAL_MS
    return forgotten
  }
}
