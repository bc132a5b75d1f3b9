import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { COMMON_COMPONENTS, describeService, type ServiceFacts } from '../src/openapi/base.ts'
import type { ApiDocument } from '../src/openapi/document.ts'
import { finishOperation, type RouteFacts } from '../src/openapi/operation.ts'
import type { RouteDocumentation } from '../src/openapi/route.ts'
import { hoistSchemas } from '../src/openapi/schemas.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the API's document says of the route beside its schema. */
    documentation?: RouteDocumentation
  }
}

/** Scripts, styles and images of this service alone; the page changes styles by script, which needs no leave. */
const PAGE_CSP = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
  "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"
].join('; ')

const UI_CONFIG = { layout: 'BaseLayout', docExpansion: 'list', defaultModelsExpandDepth: 0, displayRequestDuration: true } as const

const PAGE = '/docs'

const PAGE_SCHEMA = {
  operationId: 'docs',
  summary: 'This document for people',
  description: 'A page that shows the document, and sends requests. It loads nothing from elsewhere.',
  tags: ['monitoring'],
  response: { 302: { type: 'null' } }
}

/** The routes as an OpenAPI document, `fastify.swagger()`, made when it is first asked for, and a page for people at `/docs`. Before the routes. */
async function openapi (fastify: FastifyInstance, facts: ServiceFacts): Promise<void> {
  const routes = new Map<string, RouteFacts>()
  await fastify.register(fastifySwagger, {
    openapi: describeService(facts),
    // Else a path would lose what it has in common with the server's.
    stripBasePath: false,
    transform: ({ schema, url, route }) => {
      if (schema?.operationId !== undefined) routes.set(schema.operationId, readFacts(route))
      // Of an address with and without a slash at its end, Fastify tells one route.
      return { schema, url: url === `${PAGE}/` ? PAGE : url }
    },
    transformObject: source => 'openapiObject' in source ? finishDocument(source.openapiObject, routes) : source.swaggerObject
  })
  await fastify.register(async function docs (scope) {
    scope.addHook('onRoute', openDocs)
    await scope.register(fastifySwaggerUi, {
      routePrefix: PAGE,
      staticCSP: PAGE_CSP,
      theme: { title: 'Holdline' },
      uiConfig: UI_CONFIG,
      uiHooks: { onRequest: redirectPage },
      // Seen from the page, so that it also works behind a proxy that adds a path.
      transformSpecification: document => ({ ...document, servers: [{ url: '../' }] }),
      transformSpecificationClone: false
    })
  })
}

/** What the page consists of is as open as the document that it shows; only where to find it is for the document. */
function openDocs (route: RouteOptions): void {
  const documentation = { answers: { 302: { description: 'To the page itself, `/docs/`', headers: ['Location'] } } } as const
  route.config = { ...route.config, scope: 'open', ...(route.url === PAGE && { documentation }) }
  if (route.url === PAGE) route.schema = PAGE_SCHEMA
}

/** Only where its address ends in a slash are the page's own addresses relative to it, as a proxy that adds a path needs them. */
function redirectPage (request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const [path = '', query] = request.url.split('?')
  if (path === PAGE) reply.redirect(`.${PAGE}/`)
  else if (path === `${PAGE}/` && query !== undefined) reply.redirect('./')
  else done()
}

function readFacts ({ method, config }: RouteOptions): RouteFacts {
  return {
    method: String(method),
    // As it is checked: what does not say is closed.
    scope: config?.scope ?? 'admin',
    speaksToPerson: config?.speaksToPerson === true,
    answersUnderPressure: config?.answersUnderPressure === true,
    documentation: config?.documentation ?? { answers: {} }
  }
}

function finishDocument<T extends object> (made: T, routes: ReadonlyMap<string, RouteFacts>) {
  // A copy: what was made shares parts with the schemas that are in use.
  const document: ApiDocument = JSON.parse(JSON.stringify(made))
  for (const operation of Object.values(document.paths).flatMap(path => Object.values(path))) {
    const facts = routes.get(operation.operationId)
    if (facts !== undefined) finishOperation(operation, facts)
  }
  const schemas: Record<string, object> = { ...COMMON_COMPONENTS.schemas }
  const paths = hoistSchemas(document.paths, schemas)
  const sorted = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => a < b ? -1 : 1))
  return Object.assign({}, made, { paths, components: { ...document.components, ...COMMON_COMPONENTS, schemas: sorted } })
}

export default fp(openapi, { name: 'openapi', dependencies: ['errors'], fastify: '5.x' })
