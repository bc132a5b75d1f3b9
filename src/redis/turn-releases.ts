import { Bell } from '../bell.ts'
import type { RedisConnection } from './client.ts'
import { RELEASE_TURN } from './turn-scripts.ts'
import type { TurnTicket } from './turn-tickets.ts'

/** What tickets are given back with. */
export interface TurnReleasesOptions {
  readonly redis: Pick<RedisConnection, 'run'>
  readonly ttlMs: number
  /** How soon it is tried again. */
  readonly retryMs: number
  /** Aborted when nothing is tried again. */
  readonly stopped: AbortSignal
}

/** The tickets that are on their way back. */
export class TurnReleases {
  readonly #options: TurnReleasesOptions
  readonly #underWay = new Set<Promise<void>>()

  constructor (options: TurnReleasesOptions) {
    this.#options = options
  }

  /**
   * Takes a ticket out of its queue: tries until it succeeds, or the lease has ended by itself. Never rejects.
   * `isThere` resolves to whether it was given out; one that was asked for may still be on its way, and does not exist before.
   */
  async giveBack (ticket: TurnTicket, wasInterrupted: boolean, isThere: Promise<boolean> = Promise.resolve(true)): Promise<void> {
    const given = this.#try(ticket, wasInterrupted, isThere).finally(() => { this.#underWay.delete(given) })
    this.#underWay.add(given)
    // A server that answers nothing is not waited for: by then the lease has ended by itself.
    await waitAtMost(this.#options.ttlMs, given)
  }

  /** Waits for those under way, but no longer than that. */
  async settle (maxMs: number): Promise<void> {
    await waitAtMost(maxMs, Promise.all(this.#underWay))
  }

  async #try ({ sessionId, lease }: TurnTicket, wasInterrupted: boolean, isThere: Promise<boolean>): Promise<void> {
    const { redis, ttlMs, retryMs, stopped } = this.#options
    const endsAtMs = performance.now() + ttlMs
    if (!await isThere) return
    for (;;) {
      try {
        await redis.run(RELEASE_TURN, sessionId, lease.id, wasInterrupted ? 1 : 0)
        return
      } catch {
        const leftMs = endsAtMs - performance.now()
        if (stopped.aborted || leftMs <= 0) return
        await new Bell().hear(Math.min(retryMs, leftMs), stopped).catch(() => {})
      }
    }
  }
}

/** Waits for work that never rejects. */
async function waitAtMost (ms: number, work: Promise<unknown>): Promise<void> {
  const done = new Bell()
  work.finally(done.ring)
  await done.hear(ms)
}
