/** What a turn tells those who follow it. */
export type EventName = 'session' | 'token' | 'tool_call' | 'tool_result' | 'message' | 'error'

/** One event of a turn. */
export interface TurnEvent {
  /** Its place in the turn, from 1. */
  readonly position: number
  readonly name: EventName
  /** JSON. */
  readonly data: string
}

/** What an event takes in memory beside its data: the object, and its place in a map. */
const EVENT_BYTES = 128

/** What makes V8 keep a text in two bytes a character instead of one. */
const WIDE = /[^\0-\xFF]/

/** How much of a turn is kept. */
export interface TurnEventsOptions {
  /** Unguessable: whoever knows it may follow the turn. */
  readonly id: string
  readonly maxBytes: number
  /** Told when what is kept has become more, or less, by so many bytes. */
  readonly onChange?: (bytes: number) => void
}

/**
 * The events of one turn, and the only place where they wait for those who read them.
 *
 * *Promise.* The turn never waits for a reader, and a reader never makes it keep more than `maxBytes`, beside its first event and its last: the
 * oldest of the others go, once those who are up to date have been told of the newest. A reader who missed some is given the last event alone, since
 * an answer with a hole in it is worse than none.
 *
 * *Not promised.* That every reader sees every event.
 */
export class TurnEvents {
  readonly id: string
  readonly #maxBytes: number
  readonly #onChange: (bytes: number) => void
  readonly #kept = new Map<number, TurnEvent>()
  readonly #readers = new Set<() => void>()
  #first: TurnEvent | undefined
  #last: TurnEvent | undefined
  #count = 0
  #keptBytes = 0
  #bytes = 0

  constructor ({ id, maxBytes, onChange = () => {} }: TurnEventsOptions) {
    this.id = id
    this.#maxBytes = maxBytes
    this.#onChange = onChange
  }

  /** The first event, once the turn has begun. */
  get first (): TurnEvent | undefined {
    return this.#first
  }

  /** The last event, once the turn has ended. */
  get last (): TurnEvent | undefined {
    return this.#last
  }

  /** What all events that are kept take. */
  get bytes (): number {
    return this.#bytes
  }

  /** Adds an event; `session` is the first one, `message` or `error` the last. Without a gap, unless `position` says where it stands. */
  add (name: EventName, data: string, position = this.#count + 1): void {
    if (this.#last !== undefined) throw new Error('A turn that has ended has no more events')
    const event = { position, name, data }
    this.#count = position
    if (name === 'session') this.#first = event
    else if (name === 'message' || name === 'error') this.#last = event
    else this.#kept.set(event.position, event)
    if (this.#kept.has(event.position)) this.#keptBytes += sizeOf(event)
    // Before anything goes, this event not excepted: who is up to date misses nothing.
    for (const wake of this.#readers) wake()
    this.#grow(sizeOf(event))
    this.#trim()
  }

  /** The event that follows on a position; undefined if there is none yet. To one who missed events: the last one of all. */
  read (position: number): TurnEvent | undefined {
    if (position === 0 && this.#first !== undefined) return this.#first
    return this.#kept.get(position + 1) ?? (this.#last !== undefined && position < this.#last.position ? this.#last : undefined)
  }

  /** Calls `wake` at each event, until the function that it returns is called. */
  follow (wake: () => void): () => void {
    this.#readers.add(wake)
    return () => { this.#readers.delete(wake) }
  }

  /** The first event and the last alone, of a turn that has ended. */
  abridge (): TurnEvents {
    const abridged = new TurnEvents({ id: this.id, maxBytes: 0 })
    for (const event of [this.#first, this.#last]) abridged.#bytes += event === undefined ? 0 : sizeOf(event)
    abridged.#first = this.#first
    abridged.#last = this.#last
    return abridged
  }

  /** Lets go of everything between the first event and the last. */
  evict (): void {
    const bytes = this.#keptBytes
    this.#kept.clear()
    this.#keptBytes = 0
    if (bytes > 0) this.#grow(-bytes)
  }

  #trim (): void {
    for (const [position, oldest] of this.#kept) {
      if (this.#keptBytes <= this.#maxBytes) return
      this.#kept.delete(position)
      this.#keptBytes -= sizeOf(oldest)
      this.#grow(-sizeOf(oldest))
    }
  }

  #grow (bytes: number): void {
    this.#bytes += bytes
    this.#onChange(bytes)
  }
}

/** In memory, not on the wire. */
function sizeOf ({ data }: TurnEvent): number {
  return data.length * (WIDE.test(data) ? 2 : 1) + EVENT_BYTES
}

/** One who reads the events of a turn, at a pace of their own. Whoever asks again is told the end again: every reading has one. */
export class TurnReader {
  readonly events: TurnEvents
  readonly #isBrief: boolean
  #position: number
  #isDone = false

  /** Reads on after a position: from 0, everything; `isBrief`: the first event and the last alone. */
  constructor (events: TurnEvents, position = 0, isBrief = false) {
    this.events = events
    this.#isBrief = isBrief
    this.#position = position
  }

  /** The next event; undefined if there is none yet, or none any more. */
  next (): TurnEvent | undefined {
    if (this.#isDone) return undefined
    const next = this.#isBrief && this.#position > 0 ? undefined : this.events.read(this.#position)
    const event = next ?? this.events.last
    if (event === undefined) return undefined
    this.#position = event.position
    this.#isDone = event === this.events.last
    return event
  }

  /** Whether the last event has been read. */
  get isDone (): boolean {
    return this.#isDone
  }
}
