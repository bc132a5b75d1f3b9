import { TurnEvents } from './turn-events.ts'
import type { TurnRun } from './turn-run.ts'

/** How long, and how much, the events of turns are kept. */
export interface KeptTurnsOptions {
  /** From the end of a turn. */
  readonly keepMs: number
  readonly maxTurnBytes: number
  /** Of all turns together. */
  readonly maxBytes: number
  readonly now: () => number
  readonly newId: () => string
}

/** What a turn takes beside its events: itself, its promises, its places in maps. */
const TURN_BYTES = 2048

/** A turn, and the position from which somebody wants to read on. */
export interface Place {
  readonly turn: TurnRun
  readonly position: number
}

const EVENT_ID = /^([0-9a-f-]{36}):([1-9]\d{0,9})$/

/** The id of an event: it names the turn and the place in it. */
export function formatEventId (turnId: string, position: number): string {
  return `${turnId}:${position}`
}

/**
 * The turns whose events can be read again: those that run, and those that ended not long ago.
 *
 * *Promise.* Together they keep at most `maxBytes`, beside those that run and their first events: the turn that ended first goes first, then the
 * events of the turn that has run longest.
 */
export class KeptTurns {
  readonly #options: KeptTurnsOptions
  /** Oldest first. */
  readonly #running = new Map<string, TurnRun>()
  /** The one that ended first is first. */
  readonly #ended = new Map<string, { readonly turn: TurnRun, readonly endedAtMs: number }>()
  #bytes = 0

  constructor (options: KeptTurnsOptions) {
    this.#options = options
  }

  /** What all of them take. */
  get bytes (): number {
    return this.#bytes
  }

  /** How many there are. */
  get size (): number {
    return this.#running.size + this.#ended.size
  }

  /** Starts a turn and keeps its events. */
  start (begin: (events: TurnEvents) => TurnRun): TurnRun {
    this.dropOld()
    const { newId, maxTurnBytes: maxBytes } = this.#options
    const id = newId()
    const onChange = (bytes: number): void => { this.#grow(id, bytes) }
    const turn = begin(new TurnEvents({ id, maxBytes, onChange }))
    this.#running.set(id, turn)
    this.#grow(id, TURN_BYTES)
    const end = (): void => { this.#end(turn) }
    turn.outcome.then(end, end)
    return turn
  }

  /** The turn that an event is of, if it is kept. */
  find (eventId: string): Place | undefined {
    this.dropOld()
    const [, id = '', position] = EVENT_ID.exec(eventId) ?? []
    const turn = this.#running.get(id) ?? this.#ended.get(id)?.turn
    return turn === undefined ? undefined : { turn, position: Number(position) }
  }

  /** Lets go of all turns of these sessions. */
  forget (sessionIds: ReadonlySet<string>): void {
    for (const { turn } of this.#ended.values()) {
      if (turn.session !== undefined && sessionIds.has(turn.session.sessionId)) this.#drop(turn)
    }
  }

  /** Lets go of what ended too long ago; also when nothing new comes. */
  dropOld (): void {
    const cutoffMs = this.#options.now() - this.#options.keepMs
    for (const { turn, endedAtMs } of this.#ended.values()) {
      if (endedAtMs > cutoffMs) return
      this.#drop(turn)
    }
  }

  #end (turn: TurnRun): void {
    const { id } = turn.events
    this.#running.delete(id)
    this.#ended.set(id, { turn, endedAtMs: this.#options.now() })
    this.#makeRoom()
  }

  #grow (id: string, bytes: number): void {
    // What is let go of when a turn is dropped has been taken off already.
    if (bytes < 0 && !this.#running.has(id) && !this.#ended.has(id)) return
    this.#bytes += bytes
    if (bytes > 0) this.#makeRoom()
  }

  #makeRoom (): void {
    const { maxBytes } = this.#options
    for (const { turn } of this.#ended.values()) {
      if (this.#bytes <= maxBytes) return
      this.#drop(turn)
    }
    for (const turn of this.#running.values()) {
      if (this.#bytes <= maxBytes) return
      turn.events.evict()
    }
  }

  #drop ({ events }: TurnRun): void {
    this.#ended.delete(events.id)
    this.#bytes -= events.bytes + TURN_BYTES
    events.evict()
  }
}
