import { context, propagation, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api'
import { withSpan } from '../../trace.ts'

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** What names a thread, a run, an assistant. */
const ID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi

/**
 * A `fetch` whose calls are spans, each to the moment when the answer begins. The server is told which trace it is in (`traceparent`), so that it can
 * go on with it. The path is told without ids, and nothing of what is sent.
 */
export function traceFetch (fetch: Fetch, tracer: Tracer | undefined): Fetch {
  if (tracer === undefined) return fetch
  return async (input, init) => {
    const { host, pathname } = new URL(input instanceof Request ? input.url : input)
    const method = init?.method?.toUpperCase() ?? 'GET'
    const template = pathname.replace(ID, '{id}')
    const attributes = { 'http.request.method': method, 'server.address': host, 'url.template': template }
    return await withSpan(tracer, { name: `${method} ${template}`, kind: SpanKind.CLIENT, attributes }, async span => {
      const headers = new Headers(init?.headers)
      propagation.inject(context.active(), headers, { set: (carrier, name, value) => { carrier.set(name, value) } })
      const response = await fetch(input, { ...init, headers })
      span.setAttribute('http.response.status_code', response.status)
      if (response.status >= 400) span.setStatus({ code: SpanStatusCode.ERROR })
      return response
    })
  }
}
