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
  tags: ['monitoring'],
  response: {
    200: Type.Object({
      name: Type.String(),
      version: Type.String(),
      status: Type.String(),
      endpoints: Type.Array(Type.String()),
      documentation: Type.String()
    })
  }
}

/** `GET /`: for a person who opens the address in a browser. */
const root: FastifyPluginAsyncTypebox<RootOptions> = async function root (fastify, { version, endpoints }) {
  fastify.get('/', { schema, config: { scope: 'open' } }, async function tellRoot () {
    return { name: 'Holdline', version, status: 'running', endpoints: [...endpoints], documentation: 'README.md' }
  })
}

export default root
