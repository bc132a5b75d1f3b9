import { context, propagation, SpanKind, SpanStatusCode, type Tracer, type TracerProvider } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace-node'
import { ServiceError } from './errors.ts'
import type { Log } from './log.ts'
import { nameFailure } from './trace.ts'

/** Where spans go. */
export interface TraceExportOptions {
  /** Base URL of a collector that speaks OTLP over HTTP. */
  readonly endpoint: string
  /** `name=value`, separated by commas, values percent-encoded, as OpenTelemetry writes them. */
  readonly headers?: string | undefined
  readonly serviceName: string
  readonly version: string
  /** Hears when the collector no longer takes spans, and when it does again. */
  readonly log: Log
}

/** The way of spans out of the process. */
export interface TraceExport {
  readonly tracer: Tracer
  readonly provider: TracerProvider
  /** Sends what is left, for `maxMs` at most; at once when the collector did not answer before. Never rejects. */
  close (maxMs: number): Promise<void>
}

/**
 * Opens the way. Whatever the collector does, no request waits for it: spans are sent in batches, and what does not fit into the queue (2 048 spans)
 * is dropped.
 *
 * The context in which code runs is one for the whole process, and so is the header by which traces are carried on; who set them first, keeps them.
 * The tracer of the process is left alone: spans of other libraries, which may hold anything, do not come here.
 *
 * Throws SETTING_INVALID.
 */
export function openTraceExport ({ endpoint, headers, serviceName, version, log }: TraceExportOptions): TraceExport {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  const exporter = new TidyExporter(new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces`, headers: parseHeaders(headers) }), log)
  const provider = new NodeTracerProvider({
    resource: detectResources({ detectors: [envDetector] }).merge(resourceFromAttributes({ 'service.name': serviceName, 'service.version': version })),
    spanProcessors: [new BatchSpanProcessor(exporter)]
  })
  return {
    tracer: provider.getTracer('holdline', version),
    provider,
    close: async maxMs => {
      const over = provider.shutdown().catch(() => { /* The exporter has said so. */ })
      if (exporter.isFailing) return
      let timer: NodeJS.Timeout | undefined
      const patience = new Promise(resolve => { timer = setTimeout(resolve, maxMs) })
      await Promise.race([over, patience])
      clearTimeout(timer)
    }
  }
}

/**
 * The last door. Statuses lose their texts, which are messages of errors; events of exceptions, which hold such a message and a stack, do not pass;
 * and a request that was refused is no error of the service.
 */
class TidyExporter implements SpanExporter {
  readonly #exporter: SpanExporter
  readonly #log: Log
  #isFailing = false

  constructor (exporter: SpanExporter, log: Log) {
    this.#exporter = exporter
    this.#log = log
  }

  get isFailing (): boolean {
    return this.#isFailing
  }

  export (spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.#exporter.export(spans.map(tidySpan), result => {
      this.#note(result.error)
      done(result)
    })
  }

  async shutdown (): Promise<void> {
    await this.#exporter.shutdown()
  }

  #note (error: Error | undefined): void {
    const isFailing = error !== undefined
    if (isFailing && !this.#isFailing) {
      // Not the error itself: it repeats what the collector answered.
      const status = 'code' in error && typeof error.code === 'number' ? error.code : undefined
      this.#log.warn({ reason: nameFailure(error), status }, 'Traces cannot be sent, and are dropped until they can; look at OTEL_EXPORTER_OTLP_ENDPOINT')
    }
    if (!isFailing && this.#isFailing) this.#log.info({}, 'Traces can be sent again')
    this.#isFailing = isFailing
  }
}

function tidySpan (span: ReadableSpan): ReadableSpan {
  const code = Number(span.attributes['http.response.status_code'] ?? 500)
  const isRefusal = span.kind === SpanKind.SERVER && code < 500
  const status = { code: isRefusal ? SpanStatusCode.UNSET : span.status.code }
  const events = span.events.filter(({ name }) => name !== 'exception')
  return Object.create(span, { status: { value: status }, events: { value: events } })
}

/** In OpenTelemetry's form, that of the header `baggage`. */
function parseHeaders (text = ''): Record<string, string> {
  try {
    return Object.fromEntries(text.split(',').filter(pair => pair.trim() !== '').map(pair => {
      const [name = '', ...value] = pair.split('=')
      return [name.trim(), decodeURIComponent(value.join('=').trim())]
    }))
  } catch (cause) {
    throw new ServiceError('SETTING_INVALID', { message: 'OTEL_EXPORTER_OTLP_HEADERS must have its values percent-encoded', cause })
  }
}
