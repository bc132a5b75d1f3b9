import { ServiceError, type SessionReference } from './errors.ts'
import { KEY_LIFE_MS, type MessageKey } from './message-key.ts'
import type { TurnRun } from './turn-run.ts'

/** What an entry takes beside the events that it keeps. */
const ENTRY_BYTES = 1024

/** How much is remembered. */
export interface KnownMessagesOptions {
  readonly maxBytes: number
  readonly now: () => number
}

/** A turn, or what is kept of one that has ended. */
export type KnownTurn = Pick<TurnRun, 'events' | 'accepted' | 'begun' | 'outcome' | 'isReplay' | 'session'>

/** A turn, and whether another request than this one asked for it. */
export interface OpenedTurn {
  readonly turn: KnownTurn
  readonly isRepeat: boolean
}

interface Entry {
  readonly bodyHash: string | undefined
  /** Once it has ended, the answer alone: what a turn holds is for those who keep turns to count. */
  turn: KnownTurn
  /** Undefined while the turn runs. */
  endedAtMs?: number
  bytes: number
}

/**
 * The messages with a key that came not long ago.
 *
 * *Promise.* Of requests with one key, one is run, and the others get what it comes to. A key counts only when its message is accepted into the
 * queue, and is free again after any error.
 *
 * *Not promised.* That every answer is kept for as long as its key lives: beyond `maxBytes` the oldest go, and the thread has to tell.
 */
export class KnownMessages {
  readonly #options: KnownMessagesOptions
  /** Those whose turns have ended are in the order in which they did. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  constructor (options: KnownMessagesOptions) {
    this.#options = options
  }

  /** How many keys are known. */
  get size (): number {
    return this.#entries.size
  }

  /** The turn of this key: the one that is known, or else the one that `start` begins. Throws IDEMPOTENCY_KEY_REUSED. */
  async open ({ hash, bodyHash }: MessageKey, start: () => TurnRun): Promise<OpenedTurn> {
    for (;;) {
      this.dropOld()
      const known = this.#entries.get(hash)
      if (known === undefined) {
        const turn = start()
        this.#remember(hash, { bodyHash, turn, bytes: ENTRY_BYTES })
        return { turn, isRepeat: false }
      }
      // One that gets no place in the queue, since it is full say, has not used its key: then it is this one's turn to try.
      const { turn } = known
      const isAccepted = await turn.accepted.then(() => true, () => false)
      if (!isAccepted) continue
      if (known.bodyHash !== bodyHash) throw new ServiceError('IDEMPOTENCY_KEY_REUSED')
      return { turn, isRepeat: true }
    }
  }

  /** Whose answer a key is known to have; undefined while its turn runs. */
  findAnswered ({ hash }: MessageKey): SessionReference | undefined {
    const entry = this.#entries.get(hash)
    return entry?.endedAtMs === undefined ? undefined : entry.turn.session
  }

  /** Lets go of all answers of these sessions. */
  forget (sessionIds: ReadonlySet<string>): void {
    for (const [hash, entry] of this.#entries) {
      const { session } = entry.turn
      if (entry.endedAtMs !== undefined && session !== undefined && sessionIds.has(session.sessionId)) this.#drop(hash, entry)
    }
  }

  /** Lets go of what ended too long ago; also when nothing new comes. */
  dropOld (): void {
    const cutoffMs = this.#options.now() - KEY_LIFE_MS
    for (const [hash, entry] of this.#entries) {
      if (entry.endedAtMs === undefined) continue
      if (entry.endedAtMs > cutoffMs) return
      this.#drop(hash, entry)
    }
  }

  #remember (hash: string, entry: Entry): void {
    this.#entries.set(hash, entry)
    this.#bytes += entry.bytes
    const keep = (answer: string): void => {
      this.#drop(hash, entry)
      entry.endedAtMs = this.#options.now()
      entry.turn = describeAnswer(entry.turn, answer)
      entry.bytes += entry.turn.events.bytes
      this.#entries.set(hash, entry)
      this.#bytes += entry.bytes
      this.#makeRoom()
    }
    entry.turn.outcome.then(keep, () => { this.#drop(hash, entry) })
  }

  #makeRoom (): void {
    for (const [hash, entry] of this.#entries) {
      if (this.#bytes <= this.#options.maxBytes) return
      if (entry.endedAtMs !== undefined) this.#drop(hash, entry)
    }
  }

  #drop (hash: string, entry: Entry): void {
    if (this.#entries.get(hash) !== entry) return
    this.#entries.delete(hash)
    this.#bytes -= entry.bytes
  }
}

function describeAnswer ({ events, isReplay, session }: KnownTurn, answer: string): KnownTurn {
  const outcome = Promise.resolve(answer)
  return { events: events.abridge(), accepted: outcome, begun: outcome, outcome, isReplay, session }
}
