import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { COMMON_ERRORS } from './schemas.ts'

const schema = {
  operationId: 'metrics',
  summary: 'What is measured, as Prometheus reads it',
  tags: ['monitoring'],
  response: { 200: Type.String(), ...COMMON_ERRORS }
}

/** `GET /metrics`: for Prometheus, and for nobody without a key. */
const metrics: FastifyPluginAsyncTypebox = async function metrics (fastify) {
  fastify.get('/metrics', { schema }, async function tellMetrics (_request, reply) {
    return await reply.type(fastify.metrics.contentType).send(await fastify.metrics.render())
  })
}

export default metrics
