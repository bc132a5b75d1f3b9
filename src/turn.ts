import type { Agent, AgentEvent, Decision, Person, Question } from './agent/agent.ts'
import { listApproved } from './agent/approvals.ts'
import { runWithDeadline } from './deadline.ts'
import { findUntoldExpiry, logDecision, markExpiriesTold, type Route } from './decision-log.ts'
import { parseDecisionWords } from './decision-words.ts'
import { ServiceError } from './errors.ts'
import { KeyedMessage } from './keyed-message.ts'
import type { Log } from './log.ts'
import {
  claimApproval, describeExpiry, describeQuestion, EXPIRED, hasExpired, holdQuestion, OUTCOME_UNKNOWN, readPendingApproval, REPLY_LOST,
  type PendingApproval
} from './pending-approval.ts'
import { mergeMetadata, readUserName } from './sessions/metadata.ts'
import type { Reply, RunFacts } from './reply.ts'
import type { JsonObject, Session } from './sessions/session.ts'
import type { SessionStore } from './sessions/store.ts'
import type { TurnAsker, TurnWatch } from './turn-watch.ts'
import { readVerdict, readWords, type Verdict } from './verdict.ts'

/** What turns are run with. */
export interface TurnOptions {
  readonly store: SessionStore
  readonly agent: Agent
  /** What a text that is no decision does to a waiting question. */
  readonly pendingText: 'repeat' | 'reject'
  readonly agentTimeoutMs: number
  /** How long a question may wait for its answer; as long as its session if not given. */
  readonly approvalTimeoutMs: number | undefined
  readonly now: () => number
  readonly newId: () => string
}

/** What a turn is about, and how it ends from outside. */
export interface TurnContext extends TurnAsker {
  readonly session: Session
  /** Its reason is what the turn then throws. */
  readonly stop: AbortSignal
  readonly log: Log
}

/** A message as a turn takes it. */
export interface Said {
  readonly text: string
  readonly metadata: JsonObject | undefined
  /** The question that the message says it answers. */
  readonly approvalId: string | undefined
  /** The question that the session waited with when the message arrived: words decide nothing that was asked later. */
  readonly askedBefore: string | undefined
}

/** A turn that took no longer is not saved once more for the sake of its time alone. */
const FRESH_MS = 1000

/** A question of the agent, and how the session keeps it. */
interface Held {
  readonly question: Question
  readonly approval: PendingApproval
}

/**
 * One turn of one session, under its lock.
 *
 * *Promise.* The thread says whether a question is pending; a session that says otherwise is put right first. An answer is saved as claimed before
 * the agent is resumed, so that one that was cut off is found, told to the person, and never given again by itself. What a reply reports is saved.
 *
 * *Not promised.* That a message whose turn failed was not acted upon: a tool that ran before the failure ran.
 */
export class Turn {
  readonly #options: TurnOptions
  readonly #log: Log
  /** Ends the turn from outside; its reason is what the turn then throws. */
  readonly #stop: AbortSignal
  readonly #startedAtMs: number
  #session: Session
  readonly #keyed: KeyedMessage
  readonly #watch: TurnWatch | undefined
  /** What the person has to be told before the reply. */
  #notice: string | undefined
  #hasExpired = false
  #isTellingExpiry = false

  constructor (options: TurnOptions, { session, stop, log, key, watch }: TurnContext) {
    this.#options = options
    this.#session = session
    this.#stop = stop
    this.#log = log
    this.#keyed = new KeyedMessage(options, key)
    this.#watch = watch
    this.#startedAtMs = options.now()
  }

  /** Takes a message: to the agent, or, where a question waits, as an answer to it if it is one. */
  async say ({ text, metadata: change, approvalId, askedBefore }: Said): Promise<Reply> {
    mergeMetadata(this.#session.metadata, change)
    const asksNow = readPendingApproval(this.#session.pendingApproval)?.approval_id
    const held = await this.#putRight()
    const metadata = mergeMetadata(this.#session.metadata, change)
    const { messageId, event } = await this.#keyed.recall(this.#session, text)
    const earlier = await this.#replay(event, held)
    if (earlier !== undefined) return earlier
    if (held === undefined) {
      if (this.#hasExpired && (approvalId !== undefined || parseDecisionWords(text, 1) !== undefined)) throw await this.#refuseExpired()
      // A yes to a question that was decided while it waited is for nobody: the agent would take it for an answer to something else.
      const isLate = askedBefore !== undefined && askedBefore !== asksNow && parseDecisionWords(text, 1) !== undefined
      if (approvalId !== undefined || isLate) throw new ServiceError('APPROVAL_NOT_PENDING')
      const { threadId } = this.#session
      const person = this.#describePerson(metadata)
      this.#noticeExpiry(metadata)
      const request = { threadId, text, person, wantsTokens: this.#watch?.wantsTokens === true, ...(messageId !== undefined && { messageId }) }
      return await this.#run(this.#note(metadata), signal => this.#options.agent.turn({ ...request, signal }))
    }
    if (approvalId !== undefined && approvalId !== held.approval.approval_id) throw new ServiceError('APPROVAL_SUPERSEDED')
    const isAnswer = askedBefore === held.approval.approval_id
    const decisions = isAnswer ? readWords(this.#options.agent, held.question, text, this.#options.pendingText) : undefined
    return decisions === undefined ? await this.#repeat(metadata, held) : await this.#resume(metadata, held, decisions, 'chat')
  }

  /** Answers the question `approvalId`, or throws APPROVAL_* or DECISION_REFUSED and leaves it as it is. */
  async decide (verdict: Verdict, approvalId: string | undefined, change: JsonObject | undefined): Promise<Reply> {
    mergeMetadata(this.#session.metadata, change)
    const held = await this.#putRight()
    const metadata = mergeMetadata(this.#session.metadata, change)
    const { event } = await this.#keyed.recall(this.#session, undefined)
    const earlier = await this.#replay(event, held)
    if (earlier !== undefined) return earlier
    if (held === undefined) throw new ServiceError(this.#hasExpired ? 'APPROVAL_EXPIRED' : 'APPROVAL_NOT_PENDING')
    if (held.approval.approval_id !== approvalId) {
      throw new ServiceError(held.approval.holdline.outcome_unknown === true ? 'APPROVAL_OUTCOME_UNKNOWN' : 'APPROVAL_SUPERSEDED')
    }
    return await this.#resume(metadata, held, readVerdict(this.#options.agent, held.question, verdict), 'approve')
  }

  /** The graph is the truth about a question, the session is its index: after a crash between the two, the session is made to agree. */
  async #putRight (): Promise<Held | undefined> {
    const { agent } = this.#options
    const question = await agent.pending(this.#session.threadId)
    const kept = this.#session.pendingApproval
    const approval = readPendingApproval(kept)
    if (question === undefined) {
      if (approval?.holdline.claimed_at !== undefined) await this.#noticeCutOff(approval)
      else if (kept !== null) {
        this.#log.warn({ session_id: this.#session.sessionId }, 'The session kept a question that its thread no longer asks; it is taken out')
        await this.#save({ pendingApproval: null })
      }
      return undefined
    }
    const isSame = approval?.holdline.fingerprint === question.fingerprint
    if (isSame && approval.holdline.claimed_at === undefined) {
      if (!hasExpired(approval, this.#options.now())) return { question, approval }
      await this.#expire({ question, approval })
      return undefined
    }
    if (isSame) {
      this.#log.warn({ session_id: this.#session.sessionId, code: 'APPROVAL_OUTCOME_UNKNOWN', approval_id: approval.approval_id },
        'An answer was cut off after it was claimed: the action may or may not have happened; the person is asked again')
    } else {
      this.#log.warn({ session_id: this.#session.sessionId }, 'The thread asks a question that the session did not keep; it is taken in')
    }
    const asked = this.#hold(question, isSame)
    await this.#save({ pendingApproval: asked })
    return { question, approval: asked }
  }

  /** The agent learns of it at once, the person with the next reply. */
  async #expire ({ question, approval }: Held): Promise<void> {
    const { agent, now } = this.#options
    const { sessionId, threadId, userId, metadata } = this.#session
    this.#log.info({ session_id: sessionId, approval_id: approval.approval_id }, 'A question expired: nobody answered in time')
    const person = this.#describePerson(metadata)
    await runWithDeadline(this.#options.agentTimeoutMs, this.#stop, async signal => {
      await agent.dismiss({ threadId, person, signal, question, reason: EXPIRED })
    })
    const logged = logDecision(metadata, { approval, decisions: [], nowMs: now(), userId, route: 'timeout' })
    await this.#save({ metadata: logged, pendingApproval: null })
    this.#hasExpired = true
  }

  /** For a yes that comes too late: it tells the person, too. */
  async #refuseExpired (): Promise<ServiceError> {
    const what = findUntoldExpiry(this.#session.metadata)
    await this.#save({ metadata: markExpiriesTold(this.#session.metadata) })
    return new ServiceError('APPROVAL_EXPIRED', what === undefined ? {} : { message: describeExpiry(what) })
  }

  #noticeExpiry (metadata: JsonObject): void {
    const what = findUntoldExpiry(metadata)
    if (what === undefined) return
    this.#notice = describeExpiry(what)
    this.#isTellingExpiry = true
  }

  /** The session keeps the claim until a reply has told the person. */
  async #noticeCutOff ({ approval_id: approvalId, holdline }: PendingApproval): Promise<void> {
    const { sessionId, threadId } = this.#session
    const isDone = await this.#options.agent.haveResults(threadId, holdline.approved ?? [])
    this.#notice = isDone ? REPLY_LOST : OUTCOME_UNKNOWN
    const fields = { session_id: sessionId, approval_id: approvalId }
    if (isDone) this.#log.warn(fields, 'An answer took effect, but the reply to it was cut off; the person is told')
    else this.#log.warn({ ...fields, code: 'APPROVAL_OUTCOME_UNKNOWN' }, 'An answer was cut off: an action may or may not have happened; the person is told')
  }

  /** The reply to a message that was taken before this process knew its key, from what it came to. */
  async #replay (event: AgentEvent | undefined, held: Held | undefined): Promise<Reply | undefined> {
    if (event?.type === 'answer') {
      this.#notice = undefined
      // A decision that was answered, and cut off before the session said so, is told now.
      if (held === undefined && this.#keyed.isClaimOf(this.#session)) {
        await this.#keyed.record(this.#session)
        await this.#save({ pendingApproval: null, ...this.#keyed.note(this.#session.metadata) })
      }
      return { ...this.#reply('completed', describeAnswer(event.text), null, event), isReplay: true }
    }
    if (event?.type !== 'question' || held === undefined) return undefined
    return { ...this.#reply('waiting_approval', describeQuestion(held.question, held.approval), held.approval, event), isReplay: true }
  }

  async #repeat (metadata: JsonObject, { question, approval }: Held): Promise<Reply> {
    await this.#keyed.record(this.#session)
    await this.#save({ metadata, ...this.#keyed.note(metadata) })
    return this.#reply('waiting_approval', describeQuestion(question, approval), approval)
  }

  async #resume (metadata: JsonObject, { question, approval }: Held, decisions: readonly Decision[], route: Route): Promise<Reply> {
    const { agent, now } = this.#options
    const record = await this.#keyed.record(this.#session)
    // A claim that is never tried would be told as one that was cut off.
    this.#stop.throwIfAborted()
    const logged = logDecision(metadata, { approval, decisions, nowMs: now(), userId: this.#session.userId, route })
    const approved = listApproved(question, decisions)
    const claimed = this.#save({ metadata: logged, pendingApproval: claimApproval(approval, now(), approved, record) })
    await claimed
    const { threadId } = this.#session
    const person = this.#describePerson(metadata)
    const wantsTokens = this.#watch?.wantsTokens === true
    return await this.#run(claimed, signal => agent.resume({ threadId, question, decisions, person, signal, wantsTokens }))
  }

  /** `noted` is the message's own mark on the session; neither it nor the agent has to wait for the other. */
  async #run (noted: Promise<void>, start: (signal: AbortSignal) => AsyncIterable<AgentEvent>): Promise<Reply> {
    let last: AgentEvent | undefined
    this.#watch?.began(this.#session, this.#notice === undefined ? '' : `${this.#notice}\n\n`)
    try {
      const run = runWithDeadline(this.#options.agentTimeoutMs, this.#stop, async signal => {
        for await (const event of start(signal)) {
          last = event
          this.#watch?.happened(event)
        }
      })
      await Promise.allSettled([run, noted])
      await run
    } catch (error) {
      await this.#recordFailure()
      throw error
    }
    await noted
    if (this.#isTellingExpiry) await this.#save({ metadata: markExpiriesTold(this.#session.metadata) })
    if (last?.type === 'question') {
      const approval = this.#hold(last.question)
      await this.#save({ pendingApproval: approval, ...this.#keyed.note(this.#session.metadata) })
      return this.#reply('waiting_approval', describeQuestion(last.question, approval), approval, last)
    }
    if (last?.type !== 'answer') throw new ServiceError('AGENT_FAILED', { cause: new Error('The agent ended its turn without an answer') })
    const isToBeSaved = this.#session.pendingApproval !== null || !this.#isFresh()
    if (isToBeSaved) await this.#save({ pendingApproval: null, ...this.#keyed.note(this.#session.metadata) })
    return this.#reply('completed', describeAnswer(last.text), null, last)
  }

  /** Saves that there was a message; a session that was made for it says so already. */
  async #note (metadata: JsonObject): Promise<void> {
    const { createdAtMs, lastActivityMs, metadata: current } = this.#session
    const isSaid = createdAtMs === lastActivityMs && this.#isFresh() && metadata === current
    if (!isSaid) await this.#save({ metadata })
  }

  /** Whether the activity that is saved is as good as that of now. */
  #isFresh (): boolean {
    return Math.abs(this.#options.now() - this.#session.lastActivityMs) < FRESH_MS
  }

  /** A failed turn counts as activity; a claim stays, for the next turn to find out what became of it. */
  async #recordFailure (): Promise<void> {
    try {
      if (!this.#isFresh()) await this.#save({})
    } catch (error) {
      // The next turn puts the session right; the failure of this one is what the caller has to learn.
      this.#log.error({ err: error, session_id: this.#session.sessionId }, 'A failed turn could not be recorded')
    }
  }

  async #save (change: Partial<Pick<Session, 'metadata' | 'pendingApproval'>>): Promise<void> {
    const { store, now } = this.#options
    this.#session = await store.update(this.#session.sessionId, session => ({ ...session, ...change, lastActivityMs: now() }))
  }

  #hold (question: Question, isOutcomeUnknown = false): PendingApproval {
    const { newId, now, approvalTimeoutMs: timeoutMs } = this.#options
    return holdQuestion(question, { approvalId: newId(), nowMs: now(), isOutcomeUnknown, timeoutMs })
  }

  #reply (status: Reply['status'], message: string, approval: PendingApproval | null, { model, usage }: RunFacts = {}): Reply {
    const durationMs = this.#options.now() - this.#startedAtMs
    const facts = { ...(model !== undefined && { model }), ...(usage !== undefined && { usage }), durationMs }
    const told = this.#notice === undefined ? message : `${this.#notice}\n\n${message}`
    return { session: this.#session, status, message: told, approval, facts }
  }

  #describePerson (metadata: JsonObject): Person {
    const name = readUserName(metadata)
    return { platform: this.#session.platform, userId: this.#session.userId, ...(name !== undefined && { name }) }
  }
}

function describeAnswer (text: string): string {
  return text.trim() === '' ? 'The agent has nothing to say.' : text
}
