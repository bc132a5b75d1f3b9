import { setTimeout as pause } from 'node:timers/promises'
import { Bell } from './bell.ts'
import type { Log } from './log.ts'
import { TurnReader, type TurnEvent } from './turn-events.ts'
import { currentLease } from './turn-lease.ts'
import type { TurnLog } from './turn-log.ts'
import type { TurnRun } from './turn-run.ts'

/** Where the events go, and how often. */
export interface TurnLogWriterOptions {
  readonly turnLog: Pick<TurnLog, 'append'>
  readonly log: Log
  /** Events that come within it go together. */
  readonly batchMs: number
  /** From a failure to the next try. */
  readonly retryMs: number
}

/** A turn may think for minutes. */
const IDLE_MS = 60_000

/** Of the last events: for as long as somebody who follows the turn elsewhere looks for them while the log cannot be read. */
const MAX_TRIES = 15

/** The same when this replica stops. */
const MAX_LAST_TRIES = 3

/**
 * The events of one turn on their way to the log.
 *
 * *Promise.* The turn never waits for it, and it keeps nothing that the turn does not: events that go before they were written leave a gap. A batch
 * that fails is tried again as it was, before any other.
 */
export class TurnLogWriter {
  /** Resolves when everything is written, or given up; never rejects. */
  readonly done: Promise<void>
  #isClosing = false
  readonly #turn: TurnRun
  readonly #options: TurnLogWriterOptions
  readonly #reader: TurnReader
  readonly #news = new Bell()
  readonly #end = new Bell()
  #leaseId: string | undefined
  #hasFailed = false

  /** To be made together with the turn, before that tells anything. */
  constructor (turn: TurnRun, options: TurnLogWriterOptions) {
    this.#turn = turn
    this.#options = options
    this.#reader = new TurnReader(turn.events)
    const unfollow = turn.events.follow(() => {
      // Told within the turn, under its lease.
      this.#leaseId ??= currentLease()?.id
      this.#news.ring()
      if (turn.events.last !== undefined) this.#end.ring()
    })
    this.done = this.#write().finally(unfollow)
  }

  /** Writes what there is, and waits for no more. */
  async close (): Promise<void> {
    this.#isClosing = true
    this.#news.ring()
    this.#end.ring()
    await this.done
  }

  async #write (): Promise<void> {
    while (!this.#reader.isDone && !this.#isClosing) {
      await this.#news.hear(IDLE_MS)
      await this.#end.hear(this.#options.batchMs)
      // One that was refused before it began is nobody's to follow; one that waits is yet to begin.
      if (this.#turn.session === undefined && this.#turn.events.last !== undefined) return
      if (!await this.#append(this.#readAll())) return
    }
  }

  #readAll (): TurnEvent[] {
    const batch: TurnEvent[] = []
    for (let event = this.#reader.next(); event !== undefined; event = this.#reader.next()) batch.push(event)
    return batch
  }

  /** False if it is given up. */
  async #append (batch: readonly TurnEvent[]): Promise<boolean> {
    const { events, session, clientId } = this.#turn
    if (batch.length === 0 || session === undefined) return true
    // What ends without a lease, such as an answer that is given again, is all there: nobody waits for more.
    const whose = { session, clientId, leaseId: this.#leaseId ?? events.id }
    for (let tries = 0; ;) {
      try {
        await this.#options.turnLog.append(events.id, whose, batch)
        return true
      } catch (error) {
        if (events.last !== undefined || this.#isClosing) tries++
        this.#logFailure(error, session.sessionId)
        if (tries >= (this.#isClosing ? MAX_LAST_TRIES : MAX_TRIES)) return false
        await pause(this.#options.retryMs)
      }
    }
  }

  #logFailure (error: unknown, sessionId: string): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#options.log.warn({ err: error, session_id: sessionId },
      'Events of a turn could not be kept for other replicas: a client that loses its line may not find them there')
  }
}
