import { randomUUID } from 'node:crypto'
import { runWithDeadline } from './deadline.ts'
import { ServiceError } from './errors.ts'
import { addKeyRecord, findKeyRecord } from './key-record.ts'
import type { Log } from './log.ts'
import { readPendingApproval } from './pending-approval.ts'
import type { Reply } from './reply.ts'
import { RunningTurns } from './running-turns.ts'
import { findOwnedSession, findSession } from './session-search.ts'
import { mergeMetadata } from './sessions/metadata.ts'
import { createSession, type JsonObject, type Session } from './sessions/session.ts'
import type { SessionLock } from './sessions/store.ts'
import { TurnLocks } from './sessions/turn-lock.ts'
import { inferPlatform, normaliseUserId } from './sessions/user-id.ts'
import type { ChatRequest, DecisionRequest } from './turn-request.ts'
import type { TurnAsker } from './turn-watch.ts'
import { Turn, type TurnOptions } from './turn.ts'
import { UnderWay } from './under-way.ts'

/** Ends the session and opens a fresh one. */
const NEW_COMMAND = /^\s*\/new\s*$/i

/** Who asks, and where to log what comes of it. */
interface LoggedAsker extends TurnAsker {
  readonly log: Log
}

/** What conversations are held with. */
export interface ConversationOptions extends Omit<TurnOptions, 'now' | 'newId'> {
  /** Time for a turn, from the moment that it is its turn. */
  readonly agentTimeoutMs: number
  /** Messages of one session that may wait for their turn. */
  readonly maxQueuedTurns: number
  /** Leaves the conversation of an ended session where it is. */
  readonly keepConversations: boolean
  readonly now?: () => number
  readonly newId?: () => string
}

/**
 * Every conversation that is going on: session, queue, agent, session.
 *
 * *Promise.* Turns of one session run one after another, in the order of their arrival. `drain` lets them end and then lets no other begin.
 *
 * *Not promised.* Any order between sessions.
 */
export class Conversation {
  readonly #options: Required<ConversationOptions>
  readonly #underWay = new UnderWay()
  readonly #running = new RunningTurns()
  /** By person: who came first finds, or makes, the session first, and joins its queue first. */
  readonly #arrivals = new TurnLocks()

  constructor (options: ConversationOptions) {
    this.#options = { now: Date.now, newId: randomUUID, ...options }
  }

  /** Whether new turns are refused, since the service stops. */
  get isDraining (): boolean {
    return this.#underWay.isDraining
  }

  /** Runs one message through the person's session, made if there is none. */
  async chat (request: ChatRequest, log: Log, asker: TurnAsker = {}): Promise<Reply> {
    // Refused before a session is made for it: what is too large alone is too large merged.
    mergeMetadata({}, request.metadata)
    return await this.#underWay.track(async () => {
      const { message: text, metadata, approvalId } = request
      // Before any wait: a question that is asked while the message waits is not what it answers.
      const askedBefore = readPendingApproval((await findSession(this.#options.store, request))?.pendingApproval ?? null)?.approval_id
      for (;;) {
        const { session, lock } = await this.#joinQueue(request)
        const reply = await this.#takeTurn(session, lock, { log, ...asker }, async (turn, current) => {
          if (NEW_COMMAND.test(text)) return await this.#startAfresh(current, metadata, { log, ...asker })
          return await turn.say({ text, metadata, approvalId, askedBefore })
        })
        if (reply !== undefined) return reply
        // The session ended while the message waited. A message that names it ends with it, any other one starts afresh.
        if (request.sessionId !== undefined) throw new ServiceError('SESSION_NOT_FOUND')
      }
    })
  }

  /** Answers the question that a session waits with. Throws SESSION_NOT_FOUND, APPROVAL_*, DECISION_REFUSED: the question then stays as it was. */
  async decide ({ userId, sessionId, verdict, platform, metadata, approvalId }: DecisionRequest, log: Log, asker: TurnAsker = {}): Promise<Reply> {
    return await this.#underWay.track(async () => {
      const session = await findOwnedSession(this.#options.store, sessionId, userId, platform)
      const askedBefore = readPendingApproval(session.pendingApproval)?.approval_id
      const reply = await this.#takeTurn(session, this.#lock(session), { log, ...asker }, async turn => {
        return await turn.decide(verdict, approvalId ?? askedBefore, metadata)
      })
      if (reply === undefined) throw new ServiceError('SESSION_NOT_FOUND')
      return reply
    })
  }

  /** Ends the turn that a session runs, with TURN_CANCELLED, and lets the next one begin. Throws SESSION_NOT_FOUND, TURN_NOT_RUNNING. */
  async cancel (sessionId: string): Promise<void> {
    if (await this.#options.store.get(sessionId) === undefined) throw new ServiceError('SESSION_NOT_FOUND')
    await this.#running.cancel(sessionId)
  }

  /** Ends a session after the turns that wait for it, its conversation with it. Throws SESSION_NOT_FOUND. */
  async end (sessionId: string, log: Log): Promise<void> {
    await this.#underWay.track(async () => {
      // An expired session is gone; under its lock it would count as one whose turn runs.
      if (await this.#options.store.get(sessionId) === undefined) throw new ServiceError('SESSION_NOT_FOUND')
      const lock = await this.#options.store.lock(sessionId, { signal: this.#underWay.stopped })
      try {
        const session = await this.#options.store.delete(sessionId)
        if (session === undefined) throw new ServiceError('SESSION_NOT_FOUND')
        await this.#forget(session, log)
      } finally {
        lock.release()
      }
    })
  }

  /**
   * Refuses new turns, gives those that are under way `graceMs` to finish, then cancels them with SERVICE_STOPPING, and gives up after `stopMs` more.
   * Resolves when none is left.
   */
  async drain (graceMs: number, stopMs = graceMs): Promise<void> {
    await this.#underWay.drain(graceMs, stopMs)
  }

  /** Undefined if the session ended before its turn came. */
  async #takeTurn (
    known: Session, waiting: Promise<SessionLock>, asker: LoggedAsker, run: (turn: Turn, session: Session) => Promise<Reply>
  ): Promise<Reply | undefined> {
    const { store, agent, now, agentTimeoutMs } = this.#options
    let lock: SessionLock | undefined
    try {
      lock = await waiting
      const startedAtMs = now()
      const session = await store.get(known.sessionId)
      if (session === undefined) return undefined
      // An agent that acts while nothing can be saved acts for an answer that nobody gets.
      if (!store.status().canSave) throw new ServiceError('STORE_UNAVAILABLE', { retryAfterSeconds: 5 })
      if (!agent.status().canSave) throw new ServiceError('CONVERSATIONS_UNAVAILABLE', { retryAfterSeconds: 5 })
      const reply = await this.#running.run(session.sessionId, this.#underWay.stopped, async stopped => {
        return await runWithDeadline(agentTimeoutMs, stopped, async stop => await run(new Turn(this.#options, { ...asker, session, stop }), session))
      })
      asker.log.info({ session_id: reply.session.sessionId, status: reply.status, duration_ms: now() - startedAtMs }, 'Turn ended')
      return reply
    } catch (error) {
      throw (error instanceof ServiceError ? error : new ServiceError('INTERNAL', { cause: error })).withSession(known)
    } finally {
      lock?.release()
    }
  }

  /** The session of a message, made if there is none, and the wait for its lock. */
  async #joinQueue (request: ChatRequest): Promise<{ session: Session, lock: Promise<SessionLock> }> {
    const { userId, sessionId, platform = inferPlatform(userId), approvalId } = request
    const owner = normaliseUserId(userId, platform)
    const arrival = sessionId === undefined ? await this.#arrivals.lock(`${platform} ${owner}`) : undefined
    try {
      let session = await findSession(this.#options.store, request)
      if (session === undefined) {
        if (approvalId !== undefined) throw new ServiceError('APPROVAL_NOT_PENDING')
        const create = () => createSession({ ...this.#options, userId: owner, platform })
        session = (await this.#options.store.continueOrCreate(owner, platform, create)).session
      }
      return { session, lock: this.#lock(session) }
    } finally {
      arrival?.release()
    }
  }

  #lock ({ sessionId }: Session): Promise<SessionLock> {
    return this.#options.store.lock(sessionId, { maxWaiting: this.#options.maxQueuedTurns, signal: this.#underWay.stopped })
  }

  async #startAfresh (session: Session, change: JsonObject | undefined, { log, key }: LoggedAsker): Promise<Reply> {
    const opened = { status: 'completed', message: 'This is a new conversation.', approval: null, facts: { durationMs: 0 } } as const
    const { userId, platform } = session
    const nowMs = this.#options.now()
    if (key !== undefined && findKeyRecord(session.metadata, key, nowMs) !== undefined) return { ...opened, session, isReplay: true }
    const merged = mergeMetadata({}, change)
    const metadata = key === undefined ? merged : addKeyRecord(merged, { key: key.hash, at: nowMs })
    const fresh = createSession({ ...this.#options, userId, platform, metadata })
    // In this order a crash in between leaves the person with the fresh session, which is the one that continues.
    await this.#options.store.create(fresh)
    await this.#options.store.delete(session.sessionId)
    await this.#forget(session, log)
    return { ...opened, session: fresh }
  }

  /** The session is gone by then, and cannot be ended again: a conversation that cannot be removed is left to the sweep. */
  async #forget ({ sessionId, threadId }: Session, log: Log): Promise<void> {
    if (this.#options.keepConversations) return
    try {
      await this.#options.agent.forget(threadId)
    } catch (error) {
      log.error({ err: error, session_id: sessionId }, 'The conversation of an ended session could not be removed; a later sweep tries again')
    }
  }
}
