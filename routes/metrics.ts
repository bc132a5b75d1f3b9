import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'

const schema = {
  operationId: 'metrics',
  summary: 'What is measured, as Prometheus reads it',
  description: 'Counters, gauges and histograms of requests, turns, approvals, sessions, the store and the process. No label holds a person or a word that was said.',
  tags: ['monitoring'],
  response: { 200: Type.String() }
}

const EXAMPLE = `# HELP holdline_turns_running Turns that run
# TYPE holdline_turns_running gauge
holdline_turns_running 2
`

const documentation = {
  answers: { 200: { description: 'What is measured', mediaType: 'text/plain', examples: { part: { summary: 'A part of it', value: EXAMPLE } } } }
}

/** `GET /metrics`: for Prometheus, also while everything else is refused. */
const metrics: FastifyPluginAsyncTypebox = async function metrics (fastify) {
  fastify.get('/metrics', { schema, config: { scope: 'admin', answersUnderPressure: true, documentation } }, async function tellMetrics (_request, reply) {
    return await reply.type(fastify.metrics.contentType).send(await fastify.metrics.render())
  })
}

export default metrics
