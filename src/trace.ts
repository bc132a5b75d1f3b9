import {
  context, INVALID_SPAN_CONTEXT, SpanStatusCode, trace, type Context, type Span, type SpanOptions, type Tracer
} from '@opentelemetry/api'
import { ServiceError } from './errors.ts'

/** What a span is made of. Names and attributes hold ids, counts and codes; never what people or the agent say, and nobody's user id. */
export interface SpanDescription extends SpanOptions {
  readonly name: string
}

/** Takes what is told of it, and keeps nothing. */
const NO_SPAN = trace.wrapSpanContext(INVALID_SPAN_CONTEXT)

/**
 * Runs within a span of its own, which ends with it. Where there is nothing around it that is traced, as in a sweep, or no tracer at all, it runs
 * alone: a trace begins with a request and nowhere else.
 */
export async function withSpan<T> (tracer: Tracer | undefined, { name, ...options }: SpanDescription, run: (span: Span) => Promise<T>): Promise<T> {
  if (tracer === undefined || trace.getActiveSpan() === undefined) return await run(NO_SPAN)
  return await tracer.startActiveSpan(name, options, async span => {
    try {
      return await run(span)
    } catch (error) {
      markFailure(span, error)
      throw error
    } finally {
      span.end()
    }
  })
}

/** Something that is read piece by piece. */
interface Pieces<T> {
  readonly open: () => AsyncIterable<T>
  readonly see: (span: Span, piece: T) => void
}

/**
 * The same for what is read piece by piece: the span belongs to the trace in which it was asked for, whoever reads it, and ends with the last piece.
 */
export function withSpanOver<T> (tracer: Tracer, description: SpanDescription, pieces: Pieces<T>): AsyncIterable<T> {
  const around = context.active()
  return trace.getSpan(around) === undefined ? pieces.open() : follow(tracer, description, pieces, around)
}

async function * follow<T> (tracer: Tracer, { name, ...options }: SpanDescription, { open, see }: Pieces<T>, around: Context): AsyncGenerator<T> {
  const span = tracer.startSpan(name, options, around)
  const within = trace.setSpan(around, span)
  const pieces = context.with(within, () => open()[Symbol.asyncIterator]())
  let isOver = false
  try {
    for (;;) {
      const step = await context.with(within, () => pieces.next())
      isOver = step.done === true
      if (step.done === true) return
      see(span, step.value)
      yield step.value
    }
  } catch (error) {
    isOver = true
    markFailure(span, error)
    throw error
  } finally {
    if (!isOver) await context.with(within, async () => await pieces.return?.())
    span.end()
  }
}

/** A span that failed says by which code or type, and nothing else: a message may hold what people said, or a key. */
export function markFailure (span: Span, error: unknown): void {
  span.setAttribute('error.type', nameFailure(error))
  // What is refused is no fault.
  if (!(error instanceof ServiceError) || error.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
}

/** The code of an error, if it has one that is written as codes are, else its type. */
export function nameFailure (error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if ('code' in error && typeof error.code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(error.code)) return error.code
  return /^[A-Za-z][\w.]{0,63}$/.test(error.name) ? error.name : 'Error'
}

/** The trace that a log line belongs to, as the fields of the line. */
export function describeTrace (): Record<string, string> {
  const span = trace.getActiveSpan()
  if (span === undefined) return {}
  const { traceId, spanId } = span.spanContext()
  return { trace_id: traceId, span_id: spanId }
}
