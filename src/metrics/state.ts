import { getHeapStatistics } from 'node:v8'
import { Gauge, type Registry } from 'prom-client'
import type { Log } from '../log.ts'
import type { SessionCount, SessionStore } from '../sessions/store.ts'
import { LabelValues, OTHER } from './label-values.ts'

/** What is read when the metrics are asked for; each part is handed in by whoever has it. */
export interface StateSources {
  store: Pick<SessionStore, 'count' | 'findOldestQuestion' | 'lagMs' | 'status'>
  agent: { status (): { readonly canSave: boolean } }
  turns: { readonly runningCount: number, readonly waitingCount: number }
  countStreams: () => number
}

/** How the state is read. */
export interface StateOptions {
  /** Those that are there from the start. */
  readonly platforms: readonly string[]
  readonly log: Log
  readonly now: () => number
}

/** Platforms are named by clients. */
const MAX_PLATFORMS = 20

const NO_SESSIONS: SessionCount = { count: 0, pendingApprovals: 0, byPlatform: {} }

/**
 * What the service holds at the moment, read when it is asked for.
 *
 * *Promise.* A store that cannot be read costs its own figures, which are not a number then, and no others. Nothing here grows with the sessions.
 */
export class StateMetrics {
  readonly #sources: Partial<StateSources> = {}
  readonly #options: StateOptions
  readonly #platforms: LabelValues
  readonly #sessions: Gauge<'platform'>
  readonly #pending: Gauge
  readonly #oldest: Gauge
  #isReadable = true

  constructor (registry: Registry, options: StateOptions) {
    this.#options = options
    this.#platforms = new LabelValues(MAX_PLATFORMS, options.platforms)
    const registers = [registry]
    const make = (name: string, help: string, read: () => number): void => {
      const gauge: Gauge = new Gauge({ name, help, registers, collect: () => { gauge.set(read()) } })
    }
    const sources = this.#sources
    this.#sessions = new Gauge({
      name: 'holdline_sessions',
      help: 'Active sessions by platform; beyond twenty platforms: other',
      labelNames: ['platform'],
      registers
    })
    this.#pending = new Gauge({ name: 'holdline_approvals_pending', help: 'Questions that wait for an answer', registers })
    this.#oldest = new Gauge({
      name: 'holdline_approval_oldest_age_seconds', help: 'Age of the question that has waited longest; 0 if none waits', registers
    })
    make('holdline_turns_running', 'Turns that run', () => sources.turns?.runningCount ?? 0)
    make('holdline_turns_waiting', 'Messages that wait for their turn, in all queues', () => sources.turns?.waitingCount ?? 0)
    make('holdline_streams_open', 'Event streams that are open', () => sources.countStreams?.() ?? 0)
    make('holdline_store_file_lag_seconds', 'For how long the session file has lacked what its journal holds; 0 if it lacks nothing',
      () => (sources.store?.lagMs() ?? 0) / 1000)
    make('holdline_heap_limit_bytes', 'Size of the heap at which the process ends', () => getHeapStatistics().heap_size_limit)
    const canSave: Gauge<'what'> = new Gauge({
      name: 'holdline_can_save',
      help: '1 while these can be saved, else 0',
      labelNames: ['what'],
      registers,
      collect: () => {
        canSave.set({ what: 'sessions' }, Number(sources.store?.status().canSave ?? false))
        canSave.set({ what: 'conversations' }, Number(sources.agent?.status().canSave ?? false))
      }
    })
  }

  /** Hands in a part, once it is there. */
  watch (sources: Partial<StateSources>): void {
    Object.assign(this.#sources, sources)
  }

  /** Asks the store, which may take its time, for what the next answer tells of it; all else is read in the instant of the answer. */
  async readStore (): Promise<void> {
    const { now, log } = this.#options
    const { store } = this.#sources
    try {
      const { pendingApprovals, byPlatform } = await store?.count() ?? NO_SESSIONS
      const oldestMs = await store?.findOldestQuestion()
      this.#setSessions(byPlatform)
      this.#pending.set(pendingApprovals)
      this.#oldest.set(oldestMs === undefined ? 0 : Math.max(0, now() - oldestMs) / 1000)
      this.#isReadable = true
    } catch (error) {
      if (this.#isReadable) log.warn({ err: error }, 'The sessions cannot be counted for /metrics')
      this.#isReadable = false
      for (const platform of [...this.#platforms.list(), OTHER]) this.#sessions.set({ platform }, NaN)
      this.#pending.set(NaN)
      this.#oldest.set(NaN)
    }
  }

  #setSessions (byPlatform: SessionCount['byPlatform']): void {
    const counts = new Map<string, number>()
    // The largest first: they get a name while there are names.
    for (const [platform, count] of Object.entries(byPlatform).sort(([, a], [, b]) => b - a)) {
      const label = this.#platforms.take(platform)
      counts.set(label, (counts.get(label) ?? 0) + count)
    }
    for (const platform of [...this.#platforms.list(), OTHER]) this.#sessions.set({ platform }, counts.get(platform) ?? 0)
  }
}
