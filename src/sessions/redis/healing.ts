import type { Log } from '../../log.ts'
import type { SessionReads } from './session-reads.ts'

/** Scripts of a thousand looks each in one sweep: a million sessions are gone through in four hours of sweeps of five minutes. */
const PARTS = 20

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

  /** From the beginning to the end. */
  async runThrough (): Promise<void> {
    this.#place = 0
    await this.#heal(Infinity)
  }

  /** Where it ended last. */
  async goOn (): Promise<void> {
    await this.#heal(PARTS)
  }

  async #heal (parts: number): Promise<void> {
    let sum = 0
    for (let part = 0; part < parts; part++) {
      const { next, healed } = await this.#reads.heal(this.#place)
      this.#place = next
      sum += healed
      if (next === 0) break
    }
    if (sum > 0) this.#log.warn({ sessions: sum }, 'Something other than this service removed sessions from Redis: they are not listed or counted any more')
  }
}
