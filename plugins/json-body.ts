import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../src/errors.ts'
import { findIllFormed } from '../src/json-text.ts'

/** JSON is the only body there is, and it holds nothing that a store could not keep. */
async function jsonBody (fastify: FastifyInstance): Promise<void> {
  const parseJson = fastify.getDefaultJsonParser('error', 'error')
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, function parseBody (request, body, done) {
    const { 'content-encoding': encoding = 'identity' } = request.headers
    if (encoding !== 'identity') {
      done(new ServiceError('MEDIA_TYPE_UNSUPPORTED', { message: 'The body must not be compressed' }))
      return
    }
    const bytes = Buffer.from(body)
    // Decoding would replace what is no UTF-8, and half a surrogate pair is none either.
    if (!isUtf8(bytes)) {
      done(new ServiceError('BODY_NOT_JSON', { message: 'The body is not valid UTF-8' }))
      return
    }
    const text = bytes.toString()
    // Clients that always send the header send it with an empty DELETE, too.
    if (text.trim() === '') {
      done(null, undefined)
      return
    }
    parseJson(request, text, function check (error, value) {
      if (error !== null) {
        done(new ServiceError('BODY_NOT_JSON', { cause: error }))
        return
      }
      const problem = findIllFormed(text, value)
      if (problem === undefined) done(null, value)
      else done(new ServiceError('REQUEST_INVALID', { message: problem }))
    })
  })
}

export default fp(jsonBody, { name: 'json-body', dependencies: ['errors'], fastify: '5.x' })
