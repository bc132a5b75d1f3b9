import { ServiceError } from './errors.ts'
import { FollowedTurn } from './followed-turn.ts'
import type { Log } from './log.ts'
import type { TurnEvents } from './turn-events.ts'
import { TurnLogWriter } from './turn-log-writer.ts'
import type { TurnLog, TurnLogPart } from './turn-log.ts'
import type { TurnFormat, TurnRun } from './turn-run.ts'

/** What replicas share of turns, and how. */
export interface SharedTurnsOptions {
  readonly turnLog: TurnLog
  /** Whether a session is there: any replica may have ended it. */
  readonly hasSession: (sessionId: string) => Promise<boolean>
  readonly log: Log
  readonly batchMs?: number
  readonly retryMs?: number
  readonly lostMs?: number
  readonly unreadableMs?: number
}

/** Turns that run at one replica and are asked for at another: written to a log, and read from it. */
export class SharedTurns {
  readonly #options: Required<SharedTurnsOptions>
  readonly #stop = new AbortController()
  readonly #writers = new Set<TurnLogWriter>()
  readonly #forgetting = new Set<Promise<void>>()

  constructor (options: SharedTurnsOptions) {
    this.#options = { batchMs: 200, retryMs: 1000, lostMs: 3000, unreadableMs: 15_000, ...options }
  }

  /** Writes what a turn tells that has been started here, for as long as it runs. */
  write (turn: TurnRun): void {
    const writer = new TurnLogWriter(turn, this.#options)
    this.#writers.add(writer)
    writer.done.finally(() => { this.#writers.delete(writer) })
  }

  /** What there is of a turn; undefined if nobody knows it, or if its session has ended. Throws SERVICE_STOPPING, STORE_UNAVAILABLE. */
  async find (turnId: string): Promise<TurnLogPart | undefined> {
    this.#stop.signal.throwIfAborted()
    const part = await this.#options.turnLog.read(turnId, 0)
    return part !== undefined && await this.hasSession(part.session.sessionId) ? part : undefined
  }

  /** Reads on what another replica tells of a turn. */
  follow (part: TurnLogPart, events: TurnEvents, formatError: TurnFormat['error']): FollowedTurn {
    return new FollowedTurn({ ...this.#options, part, events, formatError, stop: this.#stop.signal })
  }

  async hasSession (sessionId: string): Promise<boolean> {
    return await this.#options.hasSession(sessionId)
  }

  /** Lets go of what was said in sessions that have ended. */
  forget (sessionIds: readonly string[]): void {
    const { turnLog, log } = this.#options
    const done = turnLog.forget(sessionIds).catch((error: unknown) => {
      log.error({ err: error }, 'Events of ended sessions could not be removed from the log of turns: nobody is given them, and they go with their time')
    }).finally(() => { this.#forgetting.delete(done) })
    this.#forgetting.add(done)
  }

  /** Reads no more from other replicas: who waits for a turn of theirs is to ask one of them. */
  stop (): void {
    this.#stop.abort(new ServiceError('SERVICE_STOPPING', { retryAfterSeconds: 5 }))
  }

  /** Waits until what has been told is written; of turns that have not ended, nobody waits for more. */
  async close (): Promise<void> {
    this.stop()
    await Promise.all([...this.#forgetting, ...[...this.#writers].map(async writer => { await writer.close() })])
  }
}
