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

/** A turn whose events are kept: one of this process, or what is known here of another's. */
export type KeptTurn = Pick<TurnRun, 'events' | 'clientId' | 'session' | 'outcome' | 'isReplay'>

/** A turn, and the position from which somebody wants to read on. */
export interface Place {
  readonly turn: KeptTurn
  readonly position: number
}

/** What the id of an event says. */
export interface EventPlace {
  readonly turnId: string
  readonly position: number
}

const EVENT_ID = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([1-9]\d{0,9})$/

/** The id of an event: it names the turn and the place in it. */
export function formatEventId (turnId: string, position: number): string {
  return `${turnId}:${position}`
}

/** Undefined for what is no id of an event. */
export function parseEventId (eventId: string): EventPlace | undefined {
  const [, turnId, position] = EVENT_ID.exec(eventId) ?? []
  return turnId === undefined ? undefined : { turnId, position: Number(position) }
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
  readonly #running = new Map<string, KeptTurn>()
  /** The one that ended first is first. */
  readonly #ended = new Map<string, { readonly turn: KeptTurn, readonly endedAtMs: number }>()
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
    return this.#keep(this.#options.newId(), begin)
  }

  /** Keeps what is known here of a turn that another process runs, unless it is kept already. */
  adopt (turnId: string, begin: (events: TurnEvents) => KeptTurn): KeptTurn {
    return this.find(turnId) ?? this.#keep(turnId, begin)
  }

  /** A turn, if it is kept. */
  find (turnId: string): KeptTurn | undefined {
    this.dropOld()
    return this.#running.get(turnId) ?? this.#ended.get(turnId)?.turn
  }

  /** Lets go of one that has ended. */
  discard (turnId: string): void {
    const ended = this.#ended.get(turnId)
    if (ended !== undefined) this.#drop(ended.turn)
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

  #keep<T extends KeptTurn> (id: string, begin: (events: TurnEvents) => T): T {
    this.dropOld()
    const { maxTurnBytes: maxBytes } = this.#options
    const onChange = (bytes: number): void => { this.#grow(id, bytes) }
    const turn = begin(new TurnEvents({ id, maxBytes, onChange }))
    this.#running.set(id, turn)
    this.#grow(id, TURN_BYTES)
    const end = (): void => { this.#end(turn) }
    turn.outcome.then(end, end)
    return turn
  }

  #end (turn: KeptTurn): void {
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

  #drop ({ events }: KeptTurn): void {
    this.#ended.delete(events.id)
    this.#bytes -= events.bytes + TURN_BYTES
    events.evict()
  }
}
