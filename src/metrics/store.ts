import { Counter, Histogram, type Registry } from 'prom-client'
import type { LoadReport, StoreObserver } from '../sessions/store.ts'

/** From a fast disk's sync to a disk that hangs. */
const BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

const GROUP_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256]

/** What is measured of the session store while it works. */
export class StoreMetrics implements StoreObserver {
  readonly #writes: Counter<'outcome'>
  readonly #groups: Histogram
  readonly #saves: Histogram
  readonly #syncs: Histogram<'call'>
  readonly #rewrites: Histogram
  readonly #rejected: Counter

  constructor (registry: Registry) {
    const registers = [registry]
    this.#writes = new Counter({
      name: 'holdline_store_writes_total', help: 'Changes of sessions that were saved, or refused since they could not be', labelNames: ['outcome'], registers
    })
    this.#groups = new Histogram({
      name: 'holdline_store_group_size', help: 'Changes of sessions that were saved together', buckets: GROUP_BUCKETS, registers
    })
    this.#saves = new Histogram({
      name: 'holdline_store_write_duration_seconds', help: 'Time to make a group of changes durable', buckets: BUCKETS, registers
    })
    this.#syncs = new Histogram({
      name: 'holdline_store_fsync_duration_seconds',
      help: 'Time that the disk took to keep what was written; fdatasync: of what is appended to the journal, fsync: of a whole file or a folder',
      labelNames: ['call'],
      buckets: BUCKETS,
      registers
    })
    this.#rewrites = new Histogram({
      name: 'holdline_store_rewrite_duration_seconds', help: 'Time to write all sessions anew; of a small file, that is each group', buckets: BUCKETS, registers
    })
    this.#rejected = new Counter({
      name: 'holdline_store_rejected_rows_total', help: 'Rows that could not be read at the start and were set aside', registers
    })
    for (const outcome of ['saved', 'refused']) this.#writes.inc({ outcome }, 0)
    for (const call of ['fsync', 'fdatasync']) this.#syncs.zero({ call })
  }

  saved (changes: number, durationMs: number): void {
    this.#writes.inc({ outcome: 'saved' }, changes)
    this.#groups.observe(changes)
    this.#saves.observe(durationMs / 1000)
  }

  refused (changes: number): void {
    this.#writes.inc({ outcome: 'refused' }, changes)
  }

  synced (call: 'fsync' | 'fdatasync', durationMs: number): void {
    this.#syncs.observe({ call }, durationMs / 1000)
  }

  rewrote (durationMs: number): void {
    this.#rewrites.observe(durationMs / 1000)
  }

  /** The store has loaded what there was. */
  loaded ({ rejected }: LoadReport): void {
    this.#rejected.inc(rejected)
  }
}
