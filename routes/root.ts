import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'

/** What the root tells of the service. */
export interface RootOptions {
  readonly version: string
  /** Method and path of each route. */
  readonly endpoints: readonly string[]
}

const schema = {
  operationId: 'root',
  summary: 'What this service is',
  description: 'For a person who opens the address in a browser.',
  tags: ['monitoring'],
  response: {
    200: Type.Object({
      name: Type.String(),
      version: Type.String(),
      status: Type.String(),
      endpoints: Type.Array(Type.String()),
      documentation: Type.String({ description: 'Path of the page that describes the API' })
    }, { title: 'Service' })
  }
}

const example = { name: 'Holdline', version: '0.1.0', status: 'running', endpoints: ['POST /api/chat', 'POST /api/approve'], documentation: '/docs' }
const documentation = { answers: { 200: { description: 'This is it', examples: { service: { summary: 'This is it', value: example } } } } }

/** `GET /`: for a person who opens the address in a browser. */
const root: FastifyPluginAsyncTypebox<RootOptions> = async function root (fastify, { version, endpoints }) {
  fastify.get('/', { schema, config: { scope: 'open', documentation } }, async function tellRoot () {
    return { name: 'Holdline', version, status: 'running', endpoints: [...endpoints], documentation: '/docs' }
  })
}

export default root
