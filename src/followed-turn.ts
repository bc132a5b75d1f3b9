import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Bell } from './bell.ts'
import { ERRORS, ServiceError, type ErrorCode, type SessionReference } from './errors.ts'
import type { TurnEvents } from './turn-events.ts'
import type { TurnLog, TurnLogPart } from './turn-log.ts'
import type { TurnFormat } from './turn-run.ts'

/** How the turn of another replica is followed. */
export interface FollowedTurnOptions {
  /** Where what is read is kept, under the id of the turn. */
  readonly events: TurnEvents
  /** What was found of it at first. */
  readonly part: TurnLogPart
  readonly turnLog: Pick<TurnLog, 'read' | 'follow'>
  readonly formatError: TurnFormat['error']
  /** For how long the last event is waited for when nobody holds the session any more. */
  readonly lostMs: number
  /** For how long the log may not be readable. */
  readonly unreadableMs: number
  /** Aborted when this replica stops, with what callers that wait are told. */
  readonly stop: AbortSignal
}

/** After so long, it is looked again whoever has said something. */
const LOOK_MS = 1000

/** 503: when to ask again. */
const RETRY_AFTER_SECONDS = 5

const ErrorEvent = Type.Object({ code: Type.String(), message: Type.String() })

/**
 * A turn that another replica runs, or ran, as far as the log of turns tells.
 *
 * *Promise.* It ends: with the last event of the turn, or with an error of its own once that will not come. When this replica stops, its events end
 * without a last one, so that who follows them goes on elsewhere.
 */
export class FollowedTurn {
  readonly events: TurnEvents
  readonly clientId: string
  readonly session: SessionReference
  readonly isReplay = false
  /** The answer, as JSON. */
  readonly outcome: Promise<string>
  readonly #options: Omit<FollowedTurnOptions, 'part'>
  readonly #bell = new Bell()
  #position = 0
  /** Why it looks as if nothing more came, and since when, by the monotonic clock. */
  #doubt: { readonly code: ErrorCode, readonly sinceMs: number } | undefined

  constructor ({ part, ...options }: FollowedTurnOptions) {
    this.#options = options
    this.events = options.events
    this.session = part.session
    this.clientId = part.clientId
    this.outcome = this.#follow(part)
  }

  async #follow (part: TurnLogPart): Promise<string> {
    const { turnLog, stop } = this.#options
    // Not before it is kept: what it takes is counted there.
    await Promise.resolve()
    const unfollow = turnLog.follow(this.events.id, this.#bell.ring)
    try {
      this.#take(part)
      while (this.events.last === undefined) {
        await this.#bell.hear(LOOK_MS, stop)
        await this.#readOn()
      }
    } finally {
      unfollow()
    }
    const { last } = this.events
    if (last?.name === 'error') throw this.#readError(last.data)
    return last?.data ?? ''
  }

  async #readOn (): Promise<void> {
    const { turnLog, unreadableMs, lostMs } = this.#options
    let part: TurnLogPart | undefined
    try {
      part = await turnLog.read(this.events.id, this.#position)
    } catch (cause) {
      this.#endIfStill('STORE_UNAVAILABLE', unreadableMs)
      return
    }
    // A server that crashed may have forgotten it; the replica that runs it goes on telling.
    if (part === undefined) this.#endIfStill('STREAM_GONE', lostMs)
    else this.#take(part)
  }

  #take ({ events, isRunning }: TurnLogPart): void {
    for (const { position, name, data } of events) {
      if (position <= this.#position || this.events.last !== undefined) continue
      this.#position = position
      this.events.add(name, data, position)
    }
    if (this.events.last !== undefined) return
    if (isRunning) this.#doubt = undefined
    else this.#endIfStill('TURN_TAKEN_OVER', this.#options.lostMs)
  }

  /** Ends it for a reason that has held for so long. */
  #endIfStill (code: ErrorCode, limitMs: number): void {
    const nowMs = performance.now()
    if (this.#doubt?.code !== code) this.#doubt = { code, sinceMs: nowMs }
    if (nowMs - this.#doubt.sinceMs >= limitMs) this.#end(code)
  }

  #end (code: ErrorCode): void {
    this.events.add('error', this.#options.formatError(new ServiceError(code, { session: this.session })))
  }

  #readError (data: string): ServiceError {
    const told: unknown = JSON.parse(data)
    const { code, message } = Value.Check(ErrorEvent, told) ? told : { code: 'INTERNAL', message: '' }
    // A newer version may have others.
    const known = isErrorCode(code) ? code : 'INTERNAL'
    return new ServiceError(known, {
      ...(known === code && { message }),
      ...(ERRORS[known].status === 503 && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
      session: this.session
    })
  }
}

function isErrorCode (code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code)
}
