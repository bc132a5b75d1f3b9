import { Counter, Histogram, type Registry } from 'prom-client'

/** Why a session is gone. */
export type Removal = 'expired' | 'deleted' | 'new'

const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60]

/** What is measured of sessions that go. */
export class SweepMetrics {
  readonly #sweeps: Counter<'outcome'>
  readonly #durations: Histogram
  readonly #sessions: Counter<'reason'>
  readonly #conversations: Counter

  constructor (registry: Registry) {
    const registers = [registry]
    this.#sweeps = new Counter({
      name: 'holdline_sweeps_total', help: 'Sweeps of expired sessions, by what came of them', labelNames: ['outcome'], registers
    })
    this.#durations = new Histogram({
      name: 'holdline_sweep_duration_seconds', help: 'Time that a sweep took', buckets: BUCKETS, registers
    })
    this.#sessions = new Counter({
      name: 'holdline_sessions_removed_total',
      help: 'Sessions that ended; expired: silent for too long, found by a sweep or at the start, deleted: by request, new: by /new',
      labelNames: ['reason'],
      registers
    })
    this.#conversations = new Counter({
      name: 'holdline_conversations_swept_total', help: 'Conversations that sweeps removed, with their session or since none referred to them', registers
    })
    for (const outcome of ['completed', 'failed']) this.#sweeps.inc({ outcome }, 0)
    for (const reason of ['expired', 'deleted', 'new']) this.#sessions.inc({ reason }, 0)
  }

  /** A sweep has ended. */
  swept (removed: { readonly sessions: number, readonly conversations: number }, durationMs: number): void {
    this.#sweeps.inc({ outcome: 'completed' })
    this.#durations.observe(durationMs / 1000)
    this.removed('expired', removed.sessions)
    this.#conversations.inc(removed.conversations)
  }

  /** A sweep has ended before it was done. */
  failed (): void {
    this.#sweeps.inc({ outcome: 'failed' })
  }

  /** Sessions are gone. */
  removed (reason: Removal, count = 1): void {
    this.#sessions.inc({ reason }, count)
  }
}
