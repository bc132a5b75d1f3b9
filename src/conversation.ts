import { randomUUID } from 'node:crypto'
import { ServiceError } from './errors.ts'
import type { Log } from './log.ts'
import { readPendingApproval } from './pending-approval.ts'
import { mergeMetadata } from './sessions/metadata.ts'
import type { JsonObject, Session } from './sessions/session.ts'
import { inferPlatform, isOwnedBy, normaliseUserId } from './sessions/user-id.ts'
import { Turn, type Reply, type TurnOptions } from './turn.ts'
import type { Verdict } from './verdict.ts'

/** Ends the session and opens a fresh one. */
const NEW_COMMAND = /^\s*\/new\s*$/i

/** A message from a person. */
export interface ChatRequest {
  readonly userId: string
  readonly message: string
  readonly platform: string | undefined
  readonly metadata: JsonObject | undefined
  readonly sessionId: string | undefined
  /** The question that this message answers. */
  readonly approvalId: string | undefined
}

/** A decision that comes by itself, not as a chat message. */
export interface DecisionRequest {
  readonly userId: string
  readonly sessionId: string
  readonly verdict: Verdict
  readonly platform: string | undefined
  readonly metadata: JsonObject | undefined
  readonly approvalId: string | undefined
}

/** What conversations are held with. */
export interface ConversationOptions extends Omit<TurnOptions, 'now' | 'newId'> {
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
  readonly #stop = new AbortController()
  readonly #underWay = new Set<Promise<unknown>>()
  #isDraining = false

  constructor (options: ConversationOptions) {
    this.#options = { now: Date.now, newId: randomUUID, ...options }
  }

  /** Whether new turns are refused, since the service stops. */
  get isDraining (): boolean {
    return this.#isDraining
  }

  /** Runs one message through the person's session, made if there is none. */
  async chat (request: ChatRequest, log: Log): Promise<Reply> {
    // Refused before a session is made for it: what is too large alone is too large merged.
    mergeMetadata({}, request.metadata)
    return await this.#track(async () => {
      for (;;) {
        const session = await this.#findSession(request)
        const askedBefore = readPendingApproval(session.pendingApproval)?.approval_id
        const { message: text, metadata, approvalId } = request
        const reply = await this.#takeTurn(session, log, async (turn, current) => NEW_COMMAND.test(text)
          ? await this.#startAfresh(current, metadata)
          : await turn.say({ text, metadata, approvalId, askedBefore }))
        if (reply !== undefined) return reply
        // The session ended while the message waited. A message that names it ends with it, any other one starts afresh.
        if (request.sessionId !== undefined) throw new ServiceError('SESSION_NOT_FOUND')
      }
    })
  }

  /** Answers the question that a session waits with. Throws SESSION_NOT_FOUND, APPROVAL_*, DECISION_REFUSED: the question then stays as it was. */
  async decide ({ userId, sessionId, verdict, platform, metadata, approvalId }: DecisionRequest, log: Log): Promise<Reply> {
    return await this.#track(async () => {
      const session = await this.#findOwned(sessionId, userId, platform)
      const askedBefore = readPendingApproval(session.pendingApproval)?.approval_id
      const reply = await this.#takeTurn(session, log, async turn => await turn.decide(verdict, approvalId ?? askedBefore, metadata))
      if (reply === undefined) throw new ServiceError('SESSION_NOT_FOUND')
      return reply
    })
  }

  /** Ends a session after the turns that wait for it, its conversation with it. Throws SESSION_NOT_FOUND. */
  async end (sessionId: string): Promise<void> {
    await this.#track(async () => {
      const lock = await this.#options.store.lock(sessionId, { signal: this.#stop.signal })
      try {
        const session = await this.#options.store.delete(sessionId)
        if (session === undefined) throw new ServiceError('SESSION_NOT_FOUND')
        await this.#forget(session)
      } finally {
        lock.release()
      }
    })
  }

  /** Refuses new turns, gives those that are under way `graceMs` to finish, then cancels them with SERVICE_STOPPING. Resolves when none is left. */
  async drain (graceMs: number): Promise<void> {
    this.#isDraining = true
    const timer = setTimeout(() => { this.#stop.abort(describeStop()) }, graceMs)
    await Promise.allSettled(this.#underWay)
    clearTimeout(timer)
  }

  async #track<T> (run: () => Promise<T>): Promise<T> {
    if (this.#isDraining) throw describeStop()
    const running = run()
    this.#underWay.add(running)
    try {
      return await running
    } finally {
      this.#underWay.delete(running)
    }
  }

  /** Undefined if the session ended before its turn came. */
  async #takeTurn (known: Session, log: Log, run: (turn: Turn, session: Session) => Promise<Reply>): Promise<Reply | undefined> {
    const { store, maxQueuedTurns, now } = this.#options
    const lock = await store.lock(known.sessionId, { maxWaiting: maxQueuedTurns, signal: this.#stop.signal })
    const startedAtMs = now()
    try {
      const session = await store.get(known.sessionId)
      if (session === undefined) return undefined
      // An agent that acts while nothing can be saved acts for an answer that nobody gets.
      if (!store.status().canSave) throw new ServiceError('STORE_UNAVAILABLE', { retryAfterSeconds: 5 })
      const reply = await run(new Turn(this.#options, session, this.#stop.signal, log), session)
      log.info({ session_id: reply.session.sessionId, status: reply.status, duration_ms: now() - startedAtMs }, 'Turn ended')
      return reply
    } catch (error) {
      throw error instanceof ServiceError ? error.withSession(known) : error
    } finally {
      lock.release()
    }
  }

  async #findSession ({ userId, sessionId, platform }: ChatRequest): Promise<Session> {
    if (sessionId !== undefined) return await this.#findOwned(sessionId, userId, platform)
    const on = platform ?? inferPlatform(userId)
    const owner = normaliseUserId(userId, on)
    const { session } = await this.#options.store.continueOrCreate(owner, on, () => this.#createSession(owner, on, {}))
    return session
  }

  async #findOwned (sessionId: string, userId: string, platform: string | undefined): Promise<Session> {
    const session = await this.#options.store.get(sessionId)
    // Another person's session is answered as one that is not there, or ids could be guessed at.
    if (session === undefined || !isOwnedBy(session, userId, platform)) throw new ServiceError('SESSION_NOT_FOUND')
    return session
  }

  async #startAfresh (session: Session, metadata: JsonObject | undefined): Promise<Reply> {
    const fresh = this.#createSession(session.userId, session.platform, mergeMetadata({}, metadata))
    // In this order a crash in between leaves the person with the fresh session, which is the one that continues.
    await this.#options.store.create(fresh)
    await this.#options.store.delete(session.sessionId)
    await this.#forget(session)
    return { session: fresh, status: 'completed', message: 'This is a new conversation.', approval: null, facts: { durationMs: 0 } }
  }

  async #forget ({ threadId }: Session): Promise<void> {
    if (!this.#options.keepConversations) await this.#options.agent.forget(threadId)
  }

  #createSession (userId: string, platform: string, metadata: JsonObject): Session {
    const { now, newId } = this.#options
    const nowMs = now()
    return {
      sessionId: newId(), userId, platform, threadId: newId(), createdAtMs: nowMs, lastActivityMs: nowMs, pendingApproval: null, metadata, extra: {}
    }
  }
}

function describeStop (): ServiceError {
  return new ServiceError('SERVICE_STOPPING', { retryAfterSeconds: 5 })
}
