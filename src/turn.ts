import type { AgentEvent, Decision } from './agent/agent.ts'
import { listApproved } from './agent/approvals.ts'
import { logDecision, type Route } from './decision-log.ts'
import { parseDecisionWords } from './decision-words.ts'
import { ServiceError } from './errors.ts'
import { KeyedMessage } from './keyed-message.ts'
import type { Log } from './log.ts'
import { claimApproval, describeQuestion, type PendingApproval } from './pending-approval.ts'
import type { Reply, RunFacts } from './reply.ts'
import { mergeMetadata } from './sessions/metadata.ts'
import type { JsonObject, Session } from './sessions/session.ts'
import { TurnSession, type Held, type TurnSessionOptions } from './turn-session.ts'
import { isTakenOver } from './turn-lease.ts'
import type { TurnAsker, TurnWatch } from './turn-watch.ts'
import { readVerdict, readWords, type Verdict } from './verdict.ts'

/** What turns are run with. */
export interface TurnOptions extends TurnSessionOptions {
  /** What a text that is no decision does to a waiting question. */
  readonly pendingText: 'repeat' | 'reject'
}

/** What a turn is about, and how it ends from outside. */
export interface TurnContext extends TurnAsker {
  readonly session: Session
  /** Ends with the turn's time, too; its reason is what the turn then throws. */
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
  readonly askedBefore: PendingApproval | undefined
}

/**
 * One turn of one session, under its lock.
 *
 * *Promise.* What the session says of a question is put right first. An answer is saved as claimed before the agent is resumed, so that one that was
 * cut off is found, told to the person, and never given again by itself. What a reply reports is saved.
 *
 * *Not promised.* That a message whose turn failed was not acted upon: a tool that ran before the failure ran.
 */
export class Turn {
  readonly #options: TurnOptions
  /** Ends the turn from outside; its reason is what the turn then throws. */
  readonly #stop: AbortSignal
  readonly #startedAtMs: number
  readonly #session: TurnSession
  readonly #keyed: KeyedMessage
  readonly #watch: TurnWatch | undefined
  readonly #mayDecide: boolean

  constructor (options: TurnOptions, { session, stop, log, key, watch, mayDecide = true }: TurnContext) {
    this.#options = options
    this.#session = new TurnSession(options, session, log)
    this.#stop = stop
    this.#keyed = new KeyedMessage(options, key, stop)
    this.#watch = watch
    this.#mayDecide = mayDecide
    this.#startedAtMs = options.now()
  }

  /** Takes a message: to the agent, or, where a question waits, as an answer to it if it is one. */
  async say ({ text, metadata: change, approvalId, askedBefore }: Said): Promise<Reply> {
    // Refused before anything happens.
    mergeMetadata(this.#session.current.metadata, change)
    const held = await this.#session.putRight(this.#stop)
    const metadata = mergeMetadata(this.#session.current.metadata, change)
    const { event, ...ids } = await this.#keyed.recall(this.#session.current, text)
    const earlier = await this.#replay(event, held)
    if (earlier !== undefined) return earlier
    if (held === undefined) {
      const isDecision = parseDecisionWords(text, askedBefore?.actions?.length ?? 1) !== undefined
      if (this.#session.hasExpired && (approvalId !== undefined || isDecision)) throw await this.#session.refuseExpired()
      // A yes to a question that is gone is for nobody, whatever became of it: the agent would take it for an answer to something else.
      const isLate = askedBefore !== undefined && isDecision
      if (approvalId !== undefined || isLate) throw new ServiceError('APPROVAL_NOT_PENDING')
      const { threadId } = this.#session.current
      const person = this.#session.describePerson(metadata)
      this.#session.noticeExpiry(metadata)
      const request = { threadId, text, person, wantsTokens: this.#watch?.wantsTokens === true, ...ids }
      return await this.#run(this.#session.note(metadata), signal => this.#options.agent.turn({ ...request, signal }))
    }
    if (approvalId !== undefined && approvalId !== held.approval.approval_id) throw new ServiceError('APPROVAL_SUPERSEDED')
    const isAnswer = askedBefore?.approval_id === held.approval.approval_id
    const decisions = isAnswer ? readWords(this.#options.agent, held.question, text, this.#options.pendingText) : undefined
    if (decisions === undefined) return await this.#repeat(metadata, held)
    // Before anything is saved: another key may decide, with these very words.
    if (!this.#mayDecide) throw new ServiceError('KEY_SCOPE_MISSING', { message: 'A question is waiting, and this API key may not answer it' })
    return await this.#resume(metadata, held, decisions, 'chat')
  }

  /** Answers the question `approvalId`, or throws APPROVAL_* or DECISION_REFUSED and leaves it as it is. */
  async decide (verdict: Verdict, approvalId: string | undefined, change: JsonObject | undefined): Promise<Reply> {
    mergeMetadata(this.#session.current.metadata, change)
    const held = await this.#session.putRight(this.#stop)
    const metadata = mergeMetadata(this.#session.current.metadata, change)
    const { event } = await this.#keyed.recall(this.#session.current, undefined)
    const earlier = await this.#replay(event, held)
    if (earlier !== undefined) return earlier
    if (held === undefined) throw new ServiceError(this.#session.hasExpired ? 'APPROVAL_EXPIRED' : 'APPROVAL_NOT_PENDING')
    if (held.approval.approval_id !== approvalId) {
      throw new ServiceError(held.approval.holdline.outcome_unknown === true ? 'APPROVAL_OUTCOME_UNKNOWN' : 'APPROVAL_SUPERSEDED')
    }
    return await this.#resume(metadata, held, readVerdict(this.#options.agent, held.question, verdict), 'approve')
  }

  /** The reply to a message that was taken before this process knew its key, from what it came to. */
  async #replay (event: AgentEvent | undefined, held: Held | undefined): Promise<Reply | undefined> {
    if (event?.type === 'answer') {
      this.#session.dropNotice()
      // A decision that was answered, and cut off before the session said so, is told now.
      if (held === undefined && this.#keyed.isClaimOf(this.#session.current)) {
        await this.#keyed.record(this.#session.current)
        await this.#session.save({ pendingApproval: null, ...this.#keyed.note(this.#session.current.metadata) })
      }
      return { ...this.#reply('completed', describeAnswer(event.text), null, event), isReplay: true }
    }
    if (event?.type !== 'question' || held === undefined) return undefined
    return { ...this.#reply('waiting_approval', describeQuestion(held.question, held.approval), held.approval, event), isReplay: true }
  }

  async #repeat (metadata: JsonObject, { question, approval }: Held): Promise<Reply> {
    await this.#keyed.record(this.#session.current)
    await this.#session.save({ metadata, ...this.#keyed.note(metadata) })
    return this.#reply('waiting_approval', describeQuestion(question, approval), approval)
  }

  async #resume (metadata: JsonObject, { question, approval }: Held, decisions: readonly Decision[], route: Route): Promise<Reply> {
    const { agent, now } = this.#options
    const record = await this.#keyed.record(this.#session.current)
    // A claim that is never tried would be told as one that was cut off.
    this.#stop.throwIfAborted()
    const logged = logDecision(metadata, { approval, decisions, nowMs: now(), userId: this.#session.current.userId, route })
    const approved = listApproved(question, decisions)
    const claimed = this.#session.save({ metadata: logged, pendingApproval: claimApproval(approval, now(), approved, record) })
    await claimed
    this.#options.observer.decided(decisions, route)
    const { threadId } = this.#session.current
    const person = this.#session.describePerson(metadata)
    const wantsTokens = this.#watch?.wantsTokens === true
    return await this.#run(claimed, signal => agent.resume({ threadId, question, decisions, person, signal, wantsTokens }))
  }

  /** `noted` is the message's own mark on the session; neither it nor the agent has to wait for the other. */
  async #run (noted: Promise<void>, start: (signal: AbortSignal) => AsyncIterable<AgentEvent>): Promise<Reply> {
    let last: AgentEvent | undefined
    this.#watch?.began(this.#session.current, this.#session.notice === undefined ? '' : `${this.#session.notice}\n\n`)
    try {
      const follow = async (): Promise<void> => {
        for await (const event of start(this.#stop)) {
          last = event
          this.#watch?.happened(event)
        }
      }
      const run = follow()
      await Promise.allSettled([run, noted])
      await run
    } catch (error) {
      // One that was taken over has nothing to say any more: it would be refused.
      if (!isTakenOver(error) && !isTakenOver(this.#stop.reason)) await this.#session.recordFailure()
      throw error
    }
    await noted
    await this.#session.markTold()
    if (last?.type === 'question') {
      const approval = this.#session.hold(last.question)
      await this.#session.save({ pendingApproval: approval, ...this.#keyed.note(this.#session.current.metadata) })
      this.#options.observer.asked()
      return this.#reply('waiting_approval', describeQuestion(last.question, approval), approval, last)
    }
    if (last?.type !== 'answer') throw new ServiceError('AGENT_FAILED', { cause: new Error('The agent ended its turn without an answer') })
    const isToBeSaved = this.#session.current.pendingApproval !== null || !this.#session.isFresh()
    if (isToBeSaved) await this.#session.save({ pendingApproval: null, ...this.#keyed.note(this.#session.current.metadata) })
    return this.#reply('completed', describeAnswer(last.text), null, last)
  }

  #reply (status: Reply['status'], message: string, approval: PendingApproval | null, { model, usage }: RunFacts = {}): Reply {
    const durationMs = this.#options.now() - this.#startedAtMs
    const facts = { ...(model !== undefined && { model }), ...(usage !== undefined && { usage }), durationMs }
    const told = this.#session.notice === undefined ? message : `${this.#session.notice}\n\n${message}`
    return { session: this.#session.current, status, message: told, approval, facts }
  }
}

function describeAnswer (text: string): string {
  return text.trim() === '' ? 'The agent has nothing to say.' : text
}
