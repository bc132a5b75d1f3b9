import { setTimeout as pause } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { EventName, TurnEvent } from '../turn-events.ts'
import type { LoggedTurn, TurnLog, TurnLogPart } from '../turn-log.ts'
import { refuseFailure } from '../turn-refusal.ts'
import type { RedisConnection } from './client.ts'
import type { RedisEvents } from './events.ts'
import { APPEND_EVENTS, FORGET_EVENTS, READ_EVENTS } from './turn-log-scripts.ts'

/** What an event takes in Redis beside its data. */
const EVENT_BYTES = 128

/** Where the events of turns are kept, and how many. */
export interface RedisTurnLogOptions {
  readonly redis: Pick<RedisConnection, 'run'>
  readonly events: RedisEvents
  readonly maxTurnBytes?: number
  /** How long the events of a turn are there after the last of them. */
  readonly keepMs?: number
  /** Between two looks of one who follows a turn and is told nothing. */
  readonly pollMs?: number
  /** How long the last event of a turn may take to arrive after its lease has gone. */
  readonly settleMs?: number
}

const NAMES: readonly EventName[] = ['session', 'token', 'tool_call', 'tool_result', 'message', 'error']
const Name = Type.Unsafe<EventName>(Type.Union(NAMES.map(name => Type.Literal(name))))
/** Position, name, data. */
const KeptEvent = Type.Tuple([Type.Integer(), Name, Type.String()])

/** Session, person, platform, client; whether the lease is good; the events as texts. */
const Found = Type.Tuple([Type.String(), Type.String(), Type.String(), Type.String(), Type.Integer(), Type.Array(Type.String())])

/**
 * The events of streamed turns, in Redis for a few minutes.
 *
 * *Promise.* Events come in order, each once, however often a batch was sent. Of a turn with more than `maxTurnBytes` of them the first are kept,
 * and the last one at its true place; so too where a batch was lost. A turn is not said to have ended without its last event before that had the
 * time to arrive. Those who follow are told of each batch, as long as they read every few seconds.
 *
 * *Not promised.* Events of a turn that is silent for longer than `keepMs` while nobody follows it.
 */
export class RedisTurnLog implements TurnLog {
  readonly #options: Required<RedisTurnLogOptions>

  constructor (options: RedisTurnLogOptions) {
    this.#options = { maxTurnBytes: 1024 * 1024, keepMs: 6 * 60_000, pollMs: 1_000, settleMs: 1_000, ...options }
  }

  async append (turnId: string, turn: LoggedTurn & { readonly leaseId: string }, events: readonly TurnEvent[]): Promise<void> {
    if (events.length === 0) return
    const { maxTurnBytes, keepMs } = this.#options
    const { session: { sessionId, userId, platform }, clientId, leaseId } = turn
    const kept = events.flatMap(event => [event.position, isLast(event) ? 1 : 0, formatEvent(event)])
    await this.#run(APPEND_EVENTS, turnId, sessionId, userId, platform, clientId, leaseId, keepMs, maxTurnBytes, EVENT_BYTES, ...kept)
  }

  async read (turnId: string, afterPosition: number): Promise<TurnLogPart | undefined> {
    const part = await this.#read(turnId, afterPosition)
    if (part === undefined || part.isRunning || part.events.some(isLast)) return part
    await pause(this.#options.settleMs, undefined, { ref: false })
    return await this.#read(turnId, afterPosition)
  }

  follow (turnId: string, wake: () => void): () => void {
    const unfollow = this.#options.events.subscribe(`events:${turnId}`, wake)
    const timer = setInterval(wake, this.#options.pollMs).unref()
    return () => {
      clearInterval(timer)
      unfollow()
    }
  }

  async forget (sessionIds: readonly string[]): Promise<void> {
    if (sessionIds.length > 0) await this.#run(FORGET_EVENTS, ...sessionIds)
  }

  async #read (turnId: string, afterPosition: number): Promise<TurnLogPart | undefined> {
    const found = await this.#run(READ_EVENTS, turnId, afterPosition, this.#options.keepMs)
    if (found === null) return undefined
    const [sessionId, userId, platform, clientId, isRunning, texts] = Value.Parse(Found, found)
    const events = texts.map(parseEvent).filter(({ position }) => position > afterPosition)
    return { session: { sessionId, userId, platform }, clientId, isRunning: isRunning === 1, events }
  }

  async #run (lua: string, ...args: ReadonlyArray<string | number>): Promise<unknown> {
    return await refuseFailure(() => this.#options.redis.run(lua, ...args))
  }
}

function isLast ({ name }: TurnEvent): boolean {
  return name === 'message' || name === 'error'
}

function formatEvent ({ position, name, data }: TurnEvent): string {
  return JSON.stringify([position, name, data])
}

function parseEvent (text: string): TurnEvent {
  const [position, name, data] = Value.Parse(KeptEvent, JSON.parse(text))
  return { position, name, data }
}
