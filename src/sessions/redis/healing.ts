import type { Log } from '../../log.ts'
import type { SessionReads } from './session-reads.ts'

/** Scripts of a thousand looks each in one sweep: a million sessions are gone through in four hours of sweeps of five minutes. */
const PARTS = 20

/** No start takes longer for it; the sweeps go on where it ended. */
const MAX_START_MS = 1000

/**
 * Goes through the order of activity, dropping the places of sessions whose hashes are gone: an operator removed them, or Redis did when their time
 * to live was over.
 */
export class Healing {
  readonly #reads: SessionReads
  readonly #log: Log
  #place = 0

  constructor (reads: SessionReads, log: Log) {
    this.#reads = reads
    this.#log = log
  }

  /** From the beginning, as far as it comes in a second. */
  async begin (): Promise<void> {
    const endsAtMs = performance.now() + MAX_START_MS
    this.#place = 0
    await this.#heal(() => performance.now() < endsAtMs)
  }

  /** From where it ended last. */
  async goOn (): Promise<void> {
    let parts = 0
    await this.#heal(() => ++parts < PARTS)
  }

  async #heal (goesOn: () => boolean): Promise<void> {
    let sum = 0
    do {
      const { next, healed } = await this.#reads.heal(this.#place)
      this.#place = next
      sum += healed
    } while (this.#place !== 0 && goesOn())
    if (sum > 0) this.#log.warn({ sessions: sum }, 'Something other than this service removed sessions from Redis: they are not listed or counted any more')
  }
}
