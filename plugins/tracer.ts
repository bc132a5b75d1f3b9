import { context, type Tracer } from '@opentelemetry/api'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { nameFailure } from '../src/trace.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Makes spans; undefined where traces are not wanted. */
    tracer: Tracer | undefined
  }
}

/** Where traces go, if anywhere. */
export interface TracerOptions {
  readonly endpoint: string | undefined
  readonly headers: string | undefined
  readonly serviceName: string
  readonly version: string
  /** From the wish to close until all has to be over. */
  readonly graceMs: number
}

/** Of the time to stop, what is over when the rest belongs to the exit. */
const STOP_SHARE = 0.95
const MIN_FLUSH_MS = 100
const MAX_FLUSH_MS = 1000

/**
 * The tracer as `fastify.tracer`, and a span for each request to the API, which carries on the caller's trace (`traceparent`). Nothing of
 * OpenTelemetry's SDK is loaded unless it is wanted. Registered before all that is traced: it closes after it. And after the handler of unknown
 * routes, which would get a span beside that of the request.
 */
async function tracer (fastify: FastifyInstance, { endpoint, graceMs, ...options }: TracerOptions): Promise<void> {
  if (endpoint === undefined) {
    fastify.decorate('tracer', undefined)
    return
  }
  const [{ openTraceExport }, { FastifyOtelInstrumentation }] = await Promise.all([import('../src/trace-export.ts'), import('@fastify/otel')])
  const traces = openTraceExport({ ...options, endpoint, log: fastify.log })
  fastify.decorate('tracer', traces.tracer)
  // One span a request; monitors and whoever looks for other paths make none.
  const instrumentation = new FastifyOtelInstrumentation({
    instrumentHooks: false,
    instrumentHandler: false,
    recordExceptions: false,
    ignorePaths: ({ url }) => !url.startsWith('/api/'),
    requestHook: (span, { method, routeOptions: { url = '' } }) => {
      // By its route: a path names people, and a query anything.
      span.updateName(`${method} ${url}`.trim()).setAttribute('url.path', url)
    }
  })
  instrumentation.setTracerProvider(traces.provider)
  await fastify.register(instrumentation.plugin())
  fastify.addHook('preValidation', enterTrace)
  fastify.addHook('onError', nameError)

  let closingSince: number | undefined
  fastify.addHook('preClose', async function noteClosing () {
    closingSince = performance.now()
  })
  fastify.addHook('onClose', async function sendRest () {
    const leftMs = closingSince === undefined ? 0 : graceMs * STOP_SHARE - (performance.now() - closingSince)
    await traces.close(Math.min(MAX_FLUSH_MS, Math.max(MIN_FLUSH_MS, leftMs)))
  })
}

/** The body arrived on the connection, which belongs to no request: what comes now belongs to this one again. */
function enterTrace (request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  context.with(request.opentelemetry().context ?? context.active(), done)
}

/** So does the line in the log that an error gets. */
function nameError (request: FastifyRequest, _reply: FastifyReply, error: Error, done: () => void): void {
  const { span, context: own } = request.opentelemetry()
  span?.setAttribute('error.type', nameFailure(error))
  context.with(own ?? context.active(), done)
}

export default fp(tracer, { name: 'tracer', dependencies: [], fastify: '5.x' })
