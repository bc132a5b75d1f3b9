import type { PostgresPool } from '../../postgres/pool.ts'
import type { SessionCount } from '../store.ts'
import { sumCounts, type Tally, type TallyCount } from '../tally.ts'
import { sendAgain } from './reads.ts'
import { refuseSession } from './refusal.ts'
import { COUNT } from './statements.ts'

/** What is counted with. */
export interface SessionTallyOptions {
  readonly pool: Pick<PostgresPool, 'query'>
  readonly cutoffMs: () => number
}

/** Counts are asked for every second: one that takes no longer is made each time. */
const CHEAP_MS = 50

/** One that takes longer is used again for so many times as long as it took: a twentieth of one connection's time goes into counting. */
const REUSE_FACTOR = 20

interface Counting {
  readonly counts: Promise<Tally['counts']>
  /** Until when others may have its answer. */
  untilMs: number
}

/** Counts the sessions in the database. Where that is dear, those who ask while it is done, or soon after, get one answer. */
export class SessionTally {
  readonly #options: SessionTallyOptions
  #last: Counting | undefined
  #isDear = false

  constructor (options: SessionTallyOptions) {
    this.#options = options
  }

  /** By platform. */
  async read (): Promise<Pick<Tally, 'counts'>> {
    if (!this.#isDear) return { counts: await this.#count() }
    // Nobody gets one that failed: it is not there any more.
    if (this.#last === undefined || performance.now() > this.#last.untilMs) {
      const begun = this.#last = { counts: this.#count(), untilMs: Infinity }
      begun.counts.catch(() => { if (this.#last === begun) this.#last = undefined })
    }
    return { counts: await this.#last.counts }
  }

  /** All of them. */
  async count (): Promise<SessionCount> {
    return sumCounts((await this.read()).counts)
  }

  async #count (): Promise<Tally['counts']> {
    const startedMs = performance.now()
    try {
      const { rows } = await sendAgain<TallyCount & { platform: string }>(this.#options.pool, COUNT, [this.#options.cutoffMs()])
      return new Map(rows.map(({ platform, all, pending }) => [platform, { all, pending }]))
    } catch (error) {
      throw refuseSession(error)
    } finally {
      const endedMs = performance.now()
      this.#isDear = endedMs - startedMs > CHEAP_MS
      if (this.#last !== undefined) this.#last.untilMs = endedMs + (endedMs - startedMs) * REUSE_FACTOR
    }
  }
}
