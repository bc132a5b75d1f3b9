import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'

const schema = {
  operationId: 'openapi',
  summary: 'This document',
  description: 'The routes of this service as OpenAPI 3.1. `/docs` shows it to people; a client can be generated from it.',
  tags: ['monitoring'],
  response: { 200: Type.Object({ openapi: Type.String(), info: Type.Object({}), paths: Type.Object({}) }, { title: 'Document', additionalProperties: true }) }
}

const documentation = { answers: { 200: { description: 'The document' } } }

/** `GET /openapi.json`: what there is to call, for programs. */
const openapi: FastifyPluginAsyncTypebox = async function openapi (fastify) {
  let text: string | undefined
  fastify.get('/openapi.json', { schema, config: { scope: 'open', documentation } }, async function tellRoutes (_request, reply) {
    // As text: the schema is for readers, and would leave out what it does not name.
    text ??= JSON.stringify(fastify.swagger())
    return sendJson(reply, text)
  })
}

function sendJson (reply: FastifyReply, text: string): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(text)
}

export default openapi
