import { ServiceError, type SessionReference } from './errors.ts'
import { KnownMessages, type OpenedTurn } from './idempotency.ts'
import { KeptTurns, parseEventId, type KeptTurn, type KeptTurnsOptions, type Place } from './kept-turns.ts'
import type { MessageKey } from './message-key.ts'
import { normaliseUserId } from './sessions/user-id.ts'
import type { SharedTurns } from './shared-turns.ts'
import { TurnRun, type TurnFormat, type TurnRunOptions } from './turn-run.ts'

/** How much is kept of turns that others than their own request may ask for. */
export interface TurnDeskOptions extends KeptTurnsOptions {
  /** Of the answers to messages with a key. */
  readonly maxAnswerBytes: number
  /** Undefined where there is no other replica. */
  readonly shared?: SharedTurns | undefined
}

/** Who asks for a turn that runs, or ran, already. */
export interface Follower {
  readonly clientId: string
  readonly userId: string
  readonly platform: string | undefined
  readonly sessionId: string | undefined
  /** How an error is written that ends what they follow. */
  readonly formatError: TurnFormat['error']
}

/** Where turns are asked for by those who may lose the line, or ask twice, at whichever replica. */
export class TurnDesk {
  readonly #turns: KeptTurns
  readonly #known: KnownMessages
  readonly #shared: SharedTurns | undefined

  constructor ({ maxAnswerBytes, shared, ...options }: TurnDeskOptions) {
    this.#turns = new KeptTurns(options)
    this.#known = new KnownMessages({ maxBytes: maxAnswerBytes, now: options.now })
    this.#shared = shared
  }

  /** Lets go of what was said in sessions that have ended. */
  forget (sessionIds: readonly string[]): void {
    this.#drop(sessionIds)
    this.#shared?.forget(sessionIds)
  }

  /** Lets go of what is too old. */
  dropOld (): void {
    this.#turns.dropOld()
    this.#known.dropOld()
  }

  /** Reads no more from other replicas; to be called once this one runs no turns any more. */
  stop (): void {
    this.#shared?.stop()
  }

  /** Waits until what turns told is there for other replicas. */
  async close (): Promise<void> {
    await this.#shared?.close()
  }

  /** Starts a turn, unless one with this key is known. Throws IDEMPOTENCY_KEY_REUSED. */
  async open (key: MessageKey | undefined, options: Omit<TurnRunOptions, 'events'>): Promise<OpenedTurn> {
    const start = (): TurnRun => {
      const turn = this.#turns.start(events => new TurnRun({ ...options, events }))
      if (options.wantsTokens) this.#shared?.write(turn)
      return turn
    }
    if (key === undefined) return { turn: start(), isRepeat: false }
    const answered = this.#shared === undefined ? undefined : this.#known.findAnswered(key)
    if (answered !== undefined) await this.#isOver(answered)
    return await this.#known.open(key, start)
  }

  /** The turn that an event is of, for the person whose turn it is. Throws STREAM_GONE: starts nothing. */
  async find (eventId: string, follower: Follower): Promise<Place> {
    const { turnId, position } = parseEventId(eventId) ?? {}
    const turn = turnId === undefined ? undefined : await this.#findHere(turnId, follower) ?? await this.#findElsewhere(turnId, follower)
    if (turn === undefined || position === undefined) throw new ServiceError('STREAM_GONE')
    return { turn, position }
  }

  async #findHere (turnId: string, follower: Follower): Promise<KeptTurn | undefined> {
    const turn = this.#turns.find(turnId)
    if (turn === undefined || !isOwner(turn, follower)) return undefined
    return turn.session !== undefined && await this.#isOver(turn.session) ? undefined : turn
  }

  async #findElsewhere (turnId: string, follower: Follower): Promise<KeptTurn | undefined> {
    const shared = this.#shared
    if (shared === undefined || this.#turns.find(turnId) !== undefined) return undefined
    const part = await shared.find(turnId)
    if (part === undefined || !isOwner(part, follower)) return undefined
    const turn = this.#turns.adopt(turnId, events => shared.follow(part, events, follower.formatError))
    // The turn may be as well as ever: whoever asks again is not to be told this.
    const discard = (error: unknown): void => { if (!isFinal(error)) this.#turns.discard(turnId) }
    turn.outcome.catch(discard)
    return turn
  }

  /** Whether a session has ended, at whichever replica: then what was said in it is let go of here, too. */
  async #isOver ({ sessionId }: SessionReference): Promise<boolean> {
    if (this.#shared === undefined || await this.#shared.hasSession(sessionId)) return false
    this.#drop([sessionId])
    return true
  }

  #drop (sessionIds: readonly string[]): void {
    const ended = new Set(sessionIds)
    this.#turns.forget(ended)
    this.#known.forget(ended)
  }
}

function isOwner ({ session, clientId }: Pick<KeptTurn, 'session' | 'clientId'>, follower: Follower): boolean {
  if (session === undefined || clientId !== follower.clientId) return false
  const { userId, sessionId = session.sessionId, platform = session.platform } = follower
  return sessionId === session.sessionId && platform === session.platform &&
    (userId === session.userId || normaliseUserId(userId, platform) === session.userId)
}

function isFinal (error: unknown): boolean {
  return !(error instanceof ServiceError) || (error.code !== 'STORE_UNAVAILABLE' && error.code !== 'SERVICE_STOPPING')
}
