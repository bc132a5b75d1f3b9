import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { HttpMetrics } from './http.ts'
import { StateMetrics, type StateOptions } from './state.ts'
import { StoreMetrics } from './store.ts'
import { SweepMetrics } from './sweeps.ts'
import { TurnMetrics } from './turns.ts'

/** What the metrics are made with. */
export interface MetricsOptions extends StateOptions {
  readonly version: string
}

/** Gauges that are named like counters, and that say no more than `nodejs_active_resources` does, by kind. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

/** What is measured of the process, and of Node.js: there is one of each, however many services run in it. */
let processRegistry: Registry | undefined

/**
 * Everything that is measured, as Prometheus reads it.
 *
 * *Promise.* Each series whose labels are known is there from the start. A label holds no person, no session, no key and nothing that was said, and
 * takes a bounded number of values, whatever clients send.
 */
export class Metrics {
  readonly http: HttpMetrics
  readonly turns: TurnMetrics
  readonly store: StoreMetrics
  readonly sweeps: SweepMetrics
  readonly state: StateMetrics
  readonly #registry = new Registry()

  constructor ({ version, ...options }: MetricsOptions) {
    const info = new Gauge({ name: 'holdline_build_info', help: 'The version that runs', labelNames: ['version'], registers: [this.#registry] })
    info.set({ version }, 1)
    this.http = new HttpMetrics(this.#registry)
    this.sweeps = new SweepMetrics(this.#registry)
    this.turns = new TurnMetrics(this.#registry, this.sweeps)
    this.store = new StoreMetrics(this.#registry)
    this.state = new StateMetrics(this.#registry, options)
    watchProcess()
  }

  /** The media type of what `render` gives. */
  get contentType (): string {
    return this.#registry.contentType
  }

  /** All of it, as it is now. */
  async render (): Promise<string> {
    await this.state.readStore()
    const [own, ofProcess] = await Promise.all([this.#registry.metrics(), watchProcess().metrics()])
    return `${own}\n${ofProcess}`
  }
}

/** Its observers (of garbage collection, of the event loop) can never be taken off again: once for the process, not once for each service in it. */
function watchProcess (): Registry {
  if (processRegistry === undefined) {
    processRegistry = new Registry()
    collectDefaultMetrics({ register: processRegistry })
    for (const name of MISNAMED) processRegistry.removeSingleMetric(name)
  }
  return processRegistry
}
