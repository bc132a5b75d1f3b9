import type { Agent, Person, Question } from './agent/agent.ts'
import { findUntoldExpiry, logDecision, markExpiriesTold, type Expired } from './decision-log.ts'
import { ServiceError } from './errors.ts'
import type { Log } from './log.ts'
import {
  describeAsked, describeExpiry, EXPIRED, hasExpired, holdQuestion, OUTCOME_UNKNOWN, readPendingApproval, REPLY_LOST, type PendingApproval
} from './pending-approval.ts'
import { readUserName } from './sessions/metadata.ts'
import type { JsonObject, Session } from './sessions/session.ts'
import type { SessionStore } from './sessions/store.ts'
import { isTakenOver } from './turn-lease.ts'
import type { TurnObserver } from './turn-observer.ts'

/** What sessions are kept with. */
export interface TurnSessionOptions {
  readonly store: SessionStore
  readonly agent: Agent
  /** How long a question may wait for its answer; as long as its session if not given. */
  readonly approvalTimeoutMs: number | undefined
  readonly now: () => number
  readonly newId: () => string
  readonly observer: Pick<TurnObserver, 'asked' | 'decided'>
}

/** What a session may have changed. */
export type SessionChange = Partial<Pick<Session, 'metadata' | 'pendingApproval'>>

/** A turn that took no longer is not saved once more for the sake of its time alone. */
const FRESH_MS = 1000

/** A question of the agent, and how the session keeps it. */
export interface Held {
  readonly question: Question
  readonly approval: PendingApproval
}

/**
 * The session of a turn, under its lock: the index of what its thread asks.
 *
 * *Promise.* The thread says whether a question is pending; a session that says otherwise is put right. An answer that was cut off is found and told.
 * A question that has waited too long is ended, and told.
 */
export class TurnSession {
  readonly #options: TurnSessionOptions
  readonly #log: Log
  #session: Session
  #notice: string | undefined
  /** What the question asked that this turn found expired. */
  #expired: Expired | undefined

  constructor (options: TurnSessionOptions, session: Session, log: Log) {
    this.#options = options
    this.#session = session
    this.#log = log
  }

  /** As it was last saved. */
  get current (): Session {
    return this.#session
  }

  /** What the person has to be told before the reply. */
  get notice (): string | undefined {
    return this.#notice
  }

  /** Whether this turn found its question expired. */
  get hasExpired (): boolean {
    return this.#expired !== undefined
  }

  /** The graph is the truth about a question, the session is its index: after a crash between the two, the session is made to agree. */
  async putRight (stop: AbortSignal): Promise<Held | undefined> {
    const { agent } = this.#options
    const question = await agent.pending(this.#session.threadId, stop)
    const kept = this.#session.pendingApproval
    const approval = readPendingApproval(kept)
    if (question === undefined) {
      if (approval?.holdline.claimed_at !== undefined) await this.#noticeCutOff(approval, stop)
      else if (kept !== null) {
        this.#log.warn({ session_id: this.#session.sessionId }, 'The session kept a question that its thread no longer asks; it is taken out')
        await this.save({ pendingApproval: null })
      }
      return undefined
    }
    const isSame = approval?.holdline.fingerprint === question.fingerprint
    if (isSame && approval.holdline.claimed_at === undefined) {
      if (!hasExpired(approval, this.#options.now())) return { question, approval }
      await this.#expire({ question, approval }, stop)
      return undefined
    }
    if (isSame) {
      this.#log.warn({ session_id: this.#session.sessionId, code: 'APPROVAL_OUTCOME_UNKNOWN', approval_id: approval.approval_id },
        'An answer was cut off after it was claimed: the action may or may not have happened; the person is asked again')
    } else {
      this.#log.warn({ session_id: this.#session.sessionId }, 'The thread asks a question that the session did not keep; it is taken in')
    }
    const asked = this.hold(question, isSame)
    await this.save({ pendingApproval: asked })
    this.#options.observer.asked()
    return { question, approval: asked }
  }

  /** The error for a yes that comes too late; it tells the person, too. */
  async refuseExpired (): Promise<ServiceError> {
    const what = findUntoldExpiry(this.#session.metadata, this.#expired)
    await this.save({ metadata: markExpiriesTold(this.#session.metadata) })
    return new ServiceError('APPROVAL_EXPIRED', what === undefined ? {} : { message: describeExpiry(what) })
  }

  /** The person is to be told, with the reply, of what expired; `markTold` notes that it was. */
  noticeExpiry (metadata: JsonObject): void {
    const what = findUntoldExpiry(metadata, this.#expired)
    if (what !== undefined) this.#notice = describeExpiry(what)
  }

  /** The reply is about to tell what expired. */
  async markTold (): Promise<void> {
    const { metadata } = this.#session
    if (findUntoldExpiry(metadata) !== undefined) await this.save({ metadata: markExpiriesTold(metadata) })
  }

  /** The reply needs no notice after all. */
  dropNotice (): void {
    this.#notice = undefined
  }

  /** Saves that there was a message; a session that was made for it says so already. */
  async note (metadata: JsonObject): Promise<void> {
    const { createdAtMs, lastActivityMs, metadata: current } = this.#session
    const isSaid = createdAtMs === lastActivityMs && this.isFresh() && metadata === current
    if (!isSaid) await this.save({ metadata })
  }

  /** Whether the activity that is saved is as good as that of now. */
  isFresh (): boolean {
    return Math.abs(this.#options.now() - this.#session.lastActivityMs) < FRESH_MS
  }

  /** A failed turn counts as activity; a claim stays, for the next turn to find out what became of it. */
  async recordFailure (): Promise<void> {
    try {
      if (!this.isFresh()) await this.save({})
    } catch (error) {
      if (isTakenOver(error)) return
      // The next turn puts the session right; the failure of this one is what the caller has to learn.
      this.#log.error({ err: error, session_id: this.#session.sessionId }, 'A failed turn could not be recorded')
    }
  }

  /** Saves a change, and that the session is active. */
  async save (change: SessionChange): Promise<void> {
    const { store, now } = this.#options
    this.#session = await store.update(this.#session.sessionId, session => ({ ...session, ...change, lastActivityMs: now() }))
  }

  /** A question as the session is to keep it. */
  hold (question: Question, isOutcomeUnknown = false): PendingApproval {
    const { newId, now, approvalTimeoutMs: timeoutMs } = this.#options
    return holdQuestion(question, { approvalId: newId(), nowMs: now(), isOutcomeUnknown, timeoutMs })
  }

  /** On whose behalf the agent runs. */
  describePerson (metadata: JsonObject): Person {
    const name = readUserName(metadata)
    return { platform: this.#session.platform, userId: this.#session.userId, ...(name !== undefined && { name }) }
  }

  /** The agent learns of it at once, the person with the next reply. */
  async #expire ({ question, approval }: Held, stop: AbortSignal): Promise<void> {
    const { agent, now } = this.#options
    const { sessionId, threadId, userId, metadata } = this.#session
    this.#log.info({ session_id: sessionId, approval_id: approval.approval_id }, 'A question expired: nobody answered in time')
    const person = this.describePerson(metadata)
    await agent.dismiss({ threadId, person, signal: stop, question, reason: EXPIRED })
    const logged = logDecision(metadata, { approval, decisions: [], nowMs: now(), userId, route: 'timeout' })
    await this.save({ metadata: logged, pendingApproval: null })
    this.#expired = { approvalId: approval.approval_id, asked: describeAsked(approval) }
    this.#options.observer.decided([], 'timeout')
  }

  /** The session keeps the claim until a reply has told the person. */
  async #noticeCutOff ({ approval_id: approvalId, holdline }: PendingApproval, stop: AbortSignal): Promise<void> {
    const { sessionId, threadId } = this.#session
    const isDone = await this.#options.agent.haveResults(threadId, holdline.approved ?? [], stop)
    this.#notice = isDone ? REPLY_LOST : OUTCOME_UNKNOWN
    const fields = { session_id: sessionId, approval_id: approvalId }
    if (isDone) this.#log.warn(fields, 'An answer took effect, but the reply to it was cut off; the person is told')
    else this.#log.warn({ ...fields, code: 'APPROVAL_OUTCOME_UNKNOWN' }, 'An answer was cut off: an action may or may not have happened; the person is told')
  }
}
