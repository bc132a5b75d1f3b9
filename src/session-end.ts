import type { Agent } from './agent/agent.ts'
import { addKeyRecord, findKeyRecord, makeKeyRecord } from './key-record.ts'
import type { Log } from './log.ts'
import type { MessageKey } from './message-key.ts'
import { describePerson } from './person.ts'
import type { Reply } from './reply.ts'
import type { Place } from './session-queue.ts'
import { mergeMetadata } from './sessions/metadata.ts'
import { createSession, type JsonObject, type Session } from './sessions/session.ts'
import type { SessionStore } from './sessions/store.ts'
import type { TurnObserver } from './turn-observer.ts'

/** What sessions are ended with. */
export interface SessionEndOptions {
  readonly store: SessionStore
  readonly agent: Pick<Agent, 'forget'>
  /** Leaves the conversation of an ended session where it is. */
  readonly keepConversations: boolean
  /** Told of sessions that have ended: nothing that was said in them is to be read any more. */
  readonly onEnd: (sessionIds: readonly string[]) => void
  readonly now: () => number
  readonly newId: () => string
  readonly observer: Pick<TurnObserver, 'removed'>
}

/** A message that asks for a fresh session. */
export interface FreshStart {
  /** Of the fresh session. */
  readonly metadata: JsonObject | undefined
  readonly key?: MessageKey | undefined
  readonly log: Log
}

/**
 * How sessions end because somebody said so, each under its lock.
 *
 * *Promise.* A session that has ended is gone for everybody, and so is its conversation unless those are kept. Who waits for it keeps the place.
 */
export class SessionEnd {
  readonly #options: SessionEndOptions

  constructor (options: SessionEndOptions) {
    this.#options = options
  }

  /** Removes a session, its conversation with it. */
  async remove (session: Session, log: Log): Promise<void> {
    await this.#options.store.delete(session.sessionId)
    this.#options.observer.removed('deleted')
    await this.#forget(session, log)
  }

  /** Ends a session and opens a fresh one, which those who wait for the old one wait for from then on. */
  async startAfresh (session: Session, place: Place, { metadata: change, key, log }: FreshStart): Promise<Reply> {
    const opened = { status: 'completed', message: 'This is a new conversation.', approval: null, facts: { durationMs: 0 } } as const
    const { userId, platform } = session
    const nowMs = this.#options.now()
    if (key !== undefined && findKeyRecord(session.metadata, key, nowMs) !== undefined) return { ...opened, session, isReplay: true }
    const merged = mergeMetadata({}, change)
    const metadata = key === undefined ? merged : addKeyRecord(merged, makeKeyRecord(key, nowMs))
    const fresh = createSession({ ...this.#options, userId, platform, metadata })
    // Before anybody can find it: those who wait for the old one come first.
    await place.moveTo(fresh.sessionId)
    // In this order a crash in between leaves the person with the fresh session, which is the one that continues.
    try {
      await this.#options.store.create(fresh)
    } catch (error) {
      // Those who wait are for the session that is still there; looking for it, they could find, and wait for, another one.
      await place.moveTo(session.sessionId)
      throw error
    }
    // Who comes from now on finds the fresh one; those who wait for the old one come first.
    place.announceEnd(describePerson(session))
    await this.#options.store.delete(session.sessionId)
    this.#options.observer.removed('new')
    await this.#forget(session, log)
    return { ...opened, session: fresh }
  }

  /** The session is gone by then, and cannot be ended again: a conversation that cannot be removed is left to the sweep. */
  async #forget ({ sessionId, threadId }: Session, log: Log): Promise<void> {
    this.#options.onEnd([sessionId])
    if (this.#options.keepConversations) return
    try {
      await this.#options.agent.forget(threadId)
    } catch (error) {
      log.error({ err: error, session_id: sessionId }, 'The conversation of an ended session could not be removed; a later sweep tries again')
    }
  }
}
