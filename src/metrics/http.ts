import { Counter, Histogram, type Registry } from 'prom-client'
import { OTHER } from './label-values.ts'

/** A request as it is counted: never its URL. */
export interface CountedRequest {
  readonly method: string
  /** The pattern of its route; undefined where there is none. */
  readonly route: string | undefined
  /** Undefined where the client went away before it had any. */
  readonly status: number | undefined
}

/** From what a health check takes to what an agent may take. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

/** The label of requests that no route answers. */
const NO_ROUTE = 'unknown'

/** A client may send any method that Node.js knows, more than thirty. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** As nginx has it. */
const CLIENT_GONE = 499

/** What is measured of requests. */
export class HttpMetrics {
  readonly #durations: Histogram<'method' | 'route' | 'status'>
  readonly #malformed: Counter

  constructor (registry: Registry) {
    this.#durations = new Histogram({
      name: 'holdline_http_request_duration_seconds',
      help: 'Time from the head of a request to the end of its answer, of a stream to its last event; status 499: the client went away before',
      labelNames: ['method', 'route', 'status'],
      buckets: BUCKETS,
      registers: [registry]
    })
    this.#malformed = new Counter({
      name: 'holdline_http_malformed_requests_total', help: 'What came and was no HTTP, or came too slowly', registers: [registry]
    })
    this.#durations.zero({ method: 'GET', route: NO_ROUTE, status: '404' })
  }

  /** A route is there: so is its series, before anybody asks for it. */
  expect (method: string, route: string): void {
    this.#durations.zero({ method, route, status: '200' })
  }

  /** A request has ended. */
  ended ({ method, route = NO_ROUTE, status = CLIENT_GONE }: CountedRequest, durationMs: number): void {
    this.#durations.observe({ method: METHODS.has(method) ? method : OTHER, route, status: String(status) }, durationMs / 1000)
  }

  /** Something came that was no request. */
  refused (): void {
    this.#malformed.inc()
  }
}
