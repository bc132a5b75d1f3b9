import { randomUUID } from 'node:crypto'
import { Arrivals } from './arrivals.ts'
import { runWithDeadline } from './deadline.ts'
import { ServiceError } from './errors.ts'
import type { Log } from './log.ts'
import { readPendingApproval } from './pending-approval.ts'
import type { Reply } from './reply.ts'
import { RunningTurns } from './running-turns.ts'
import { SessionEnd, type SessionEndOptions } from './session-end.ts'
import { getSession } from './session-search.ts'
import type { Place } from './session-queue.ts'
import { mergeMetadata } from './sessions/metadata.ts'
import type { Session } from './sessions/session.ts'
import type { LockOptions } from './sessions/store.ts'
import type { ChatRequest, DecisionRequest } from './turn-request.ts'
import { UNOBSERVED, type TurnObserver, type TurnRoute } from './turn-observer.ts'
import { TurnRecord } from './turn-record.ts'
import { findLoss, runUnderLease, type TurnLease } from './turn-lease.ts'
import type { TurnSlots } from './turn-slots.ts'
import type { TurnAsker, TurnWatch } from './turn-watch.ts'
import { Turn, type TurnOptions } from './turn.ts'
import { UnderWay } from './under-way.ts'

/** Ends the session and opens a fresh one. */
const NEW_COMMAND = /^\s*\/new\s*$/i

/** Who asks, and where to log what comes of it. */
interface LoggedAsker extends TurnAsker {
  readonly log: Log
  readonly record: TurnRecord
}

/** A request that waits for its turn. */
interface Waiting {
  readonly known: Session | undefined
  readonly place: Promise<Place>
  /** The session of the turn, once that has come. */
  readonly find: (place: Place) => Promise<Session>
}

/** What conversations are held with. */
export interface ConversationOptions extends Omit<TurnOptions, 'now' | 'newId' | 'observer'> {
  /** Time for a turn, from the moment that it is its turn. */
  readonly agentTimeoutMs: number
  /** Messages of one session that may wait for their turn. */
  readonly maxQueuedTurns: number
  /** What turns run in once it is their session's turn, so that not too many run at once. */
  readonly slots: TurnSlots
  readonly keepConversations: SessionEndOptions['keepConversations']
  readonly onEnd?: SessionEndOptions['onEnd']
  readonly now?: () => number
  readonly newId?: () => string
  /** Told of turns, questions and ends of sessions; nobody, if not given. */
  readonly observer?: TurnObserver
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
  readonly #arrivals: Arrivals
  readonly #sessionEnd: SessionEnd

  constructor (options: ConversationOptions) {
    this.#options = { now: Date.now, newId: randomUUID, onEnd: () => {}, observer: UNOBSERVED, ...options }
    this.#arrivals = new Arrivals(this.#options)
    this.#sessionEnd = new SessionEnd(this.#options)
  }

  /** Whether new turns are refused, since the service stops. */
  get isDraining (): boolean {
    return this.#underWay.isDraining
  }

  /** Turns that run now. */
  get runningCount (): number {
    return this.#options.slots.load.running
  }

  /** Messages that wait for their turn: in the queues of their sessions, or, being the first there, since too many run. */
  get waitingCount (): number {
    return this.#arrivals.waitingCount + this.#options.slots.load.waiting
  }

  /** Runs one message through the person's session, made if there is none. */
  async chat (request: ChatRequest, log: Log, asker: TurnAsker = {}): Promise<Reply> {
    return await this.#record('chat', { log, ...asker }, async asker => {
      // Refused before a session is made for it: what is too large alone is too large merged.
      mergeMetadata({}, request.metadata)
      const { message: text, metadata, approvalId } = request
      const { session: known, seen, place } = await this.#arrivals.join(request, this.#describeWait(asker.watch))
      // A question that is asked while the message waits is not what it answers.
      const askedBefore = readPendingApproval(seen?.pendingApproval ?? null)
      // A session that ends while the message waits: a message that names it ends with it, any other one goes on with the next.
      const find = async (place: Place) => request.sessionId === undefined
        ? await this.#arrivals.find(place, request, { signal: this.#underWay.stopped })
        : place.takeSession() ?? await getSession(this.#options.store, request.sessionId)
      return await this.#takeTurn({ known, place, find }, asker, async (turn, current, place) => {
        if (NEW_COMMAND.test(text)) return await this.#sessionEnd.startAfresh(current, place, { metadata, key: asker.key, log: asker.log })
        return await turn.say({ text, metadata, approvalId, askedBefore })
      })
    })
  }

  /** Answers the question that a session waits with. Throws SESSION_NOT_FOUND, APPROVAL_*, DECISION_REFUSED: the question then stays as it was. */
  async decide (request: DecisionRequest, log: Log, asker: TurnAsker = {}): Promise<Reply> {
    return await this.#record('approve', { log, ...asker }, async asker => {
      const { verdict, approvalId, metadata } = request
      const { session: known, seen, place } = await this.#arrivals.joinNamed(request, this.#describeWait(asker.watch))
      const askedBefore = readPendingApproval(seen?.pendingApproval ?? null)?.approval_id
      const find = async (place: Place) => place.takeSession() ?? await getSession(this.#options.store, request.sessionId)
      return await this.#takeTurn({ known, place, find }, asker, async turn => {
        return await turn.decide(verdict, approvalId ?? askedBefore, metadata)
      })
    })
  }

  /** Ends the turn that a session runs, with TURN_CANCELLED, and lets the next one begin. Throws SESSION_NOT_FOUND, TURN_NOT_RUNNING. */
  async cancel (sessionId: string): Promise<void> {
    const { store } = this.#options
    await getSession(store, sessionId)
    if (this.#running.has(sessionId)) await this.#running.cancel(sessionId)
    else if (!await store.interrupt(sessionId)) throw new ServiceError('TURN_NOT_RUNNING')
  }

  /** Ends a session after the turns that wait for it, its conversation with it. Throws SESSION_NOT_FOUND. */
  async end (sessionId: string, log: Log): Promise<void> {
    await this.#underWay.track(async () => {
      // An expired session is gone; under its lock it would count as one whose turn runs.
      await getSession(this.#options.store, sessionId)
      const place = await this.#arrivals.enter(sessionId, { signal: this.#underWay.stopped })
      try {
        const session = place.takeSession() ?? await getSession(this.#options.store, sessionId)
        this.#arrivals.announceEnd(session, place)
        await runUnderLease(place.lease, async () => { await this.#sessionEnd.remove(session, log) })
      } finally {
        await place.release()
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

  /** Runs a turn among those under way, and records its end, be it that it never begins. */
  async #record (route: TurnRoute, asker: TurnAsker & { readonly log: Log }, run: (asker: LoggedAsker) => Promise<Reply>): Promise<Reply> {
    const { observer, now } = this.#options
    const record = new TurnRecord({ route, log: asker.log, observer, now })
    return await record.follow(async () => await this.#underWay.track(async () => await run({ ...asker, record })))
  }

  async #takeTurn (
    waiting: Waiting, asker: LoggedAsker, run: (turn: Turn, session: Session, place: Place) => Promise<Reply>
  ): Promise<Reply> {
    const { store, agent, slots, agentTimeoutMs } = this.#options
    const { record } = asker
    let { known } = waiting
    record.concern(known)
    let place: Place | undefined
    let lease: TurnLease | undefined
    let isCancelled = false
    try {
      const held = place = await waiting.place
      const session = known = await waiting.find(held)
      record.concern(session)
      lease = held.lease
      const stops = [this.#underWay.stopped, ...lease === undefined ? [] : [lease.signal]]
      const { sessionId } = session
      return await runUnderLease(lease, () => this.#running.run(sessionId, stops, async stopped => await slots.run(stopped, async () => {
        record.begin()
        // After every wait.
        held.lease?.check()
        // An agent that acts while nothing can be saved acts for an answer that nobody gets.
        if (!store.status().canSave) throw new ServiceError('STORE_UNAVAILABLE', { retryAfterSeconds: 5 })
        if (!agent.status().canSave) throw new ServiceError('CONVERSATIONS_UNAVAILABLE', { retryAfterSeconds: 5 })
        return await runWithDeadline(agentTimeoutMs, stopped, async stop => {
          return await run(new Turn(this.#options, { ...asker, session, stop }), session, held)
        })
      })))
    } catch (error) {
      const refusal = findLoss(lease) ?? (error instanceof ServiceError ? error : new ServiceError('INTERNAL', { cause: error }))
      isCancelled = refusal.code === 'TURN_CANCELLED'
      throw known === undefined ? refusal : refusal.withSession(known)
    } finally {
      // The caller does not wait for the next one to come in: the answer is saved.
      if (place !== undefined) this.#underWay.add(place.release(isCancelled))
    }
  }

  #describeWait (watch: TurnWatch | undefined): LockOptions {
    return { maxWaiting: this.#options.maxQueuedTurns, onQueued: () => { watch?.accept() }, signal: this.#underWay.stopped }
  }
}
