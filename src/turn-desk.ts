import { ServiceError } from './errors.ts'
import { KnownMessages, type OpenedTurn } from './idempotency.ts'
import { KeptTurns, type KeptTurnsOptions, type Place } from './kept-turns.ts'
import type { MessageKey } from './message-key.ts'
import { normaliseUserId } from './sessions/user-id.ts'
import { TurnRun, type TurnRunOptions } from './turn-run.ts'

/** How much is kept of turns that others than their own request may ask for. */
export interface TurnDeskOptions extends KeptTurnsOptions {
  /** Of the answers to messages with a key. */
  readonly maxAnswerBytes: number
}

/** Who asks for a turn that runs, or ran, already. */
export interface Follower {
  readonly clientId: string
  readonly userId: string
  readonly platform: string | undefined
  readonly sessionId: string | undefined
}

/** Where turns are asked for by those who may lose the line, or ask twice. */
export class TurnDesk {
  readonly #turns: KeptTurns
  readonly #known: KnownMessages

  constructor ({ maxAnswerBytes, ...options }: TurnDeskOptions) {
    this.#turns = new KeptTurns(options)
    this.#known = new KnownMessages({ maxBytes: maxAnswerBytes, now: options.now })
  }

  /** Lets go of what was said in sessions that have ended. */
  forget (sessionIds: readonly string[]): void {
    const ended = new Set(sessionIds)
    this.#turns.forget(ended)
    this.#known.forget(ended)
  }

  /** Lets go of what is too old. */
  dropOld (): void {
    this.#turns.dropOld()
    this.#known.dropOld()
  }

  /** Starts a turn, unless one with this key is known. Throws IDEMPOTENCY_KEY_REUSED. */
  async open (key: MessageKey | undefined, options: Omit<TurnRunOptions, 'events'>): Promise<OpenedTurn> {
    const start = (): TurnRun => this.#turns.start(events => new TurnRun({ ...options, events }))
    return key === undefined ? { turn: start(), isRepeat: false } : await this.#known.open(key, start)
  }

  /** The turn that an event is of, for the person whose turn it is. Throws STREAM_GONE: starts nothing. */
  find (eventId: string, follower: Follower): Place {
    const place = this.#turns.find(eventId)
    if (place === undefined || !isOwner(place.turn, follower)) throw new ServiceError('STREAM_GONE')
    return place
  }
}

function isOwner ({ session, clientId }: TurnRun, follower: Follower): boolean {
  if (session === undefined || clientId !== follower.clientId) return false
  const { userId, sessionId = session.sessionId, platform = session.platform } = follower
  return sessionId === session.sessionId && platform === session.platform &&
    (userId === session.userId || normaliseUserId(userId, platform) === session.userId)
}
