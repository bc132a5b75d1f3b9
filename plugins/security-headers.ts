import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** Nothing that this service answers is a page, save what sets a policy of its own. */
const NOTHING = ["'none'"]

/** Headers that keep browsers from taking an answer for what it is not. */
async function securityHeaders (fastify: FastifyInstance): Promise<void> {
  await fastify.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false, directives: { defaultSrc: NOTHING, baseUri: NOTHING, formAction: NOTHING, frameAncestors: NOTHING }
    },
    xFrameOptions: { action: 'deny' },
    // Whether a host is to be asked by TLS alone, for a year, is for the one to say that has the certificate: the proxy.
    strictTransportSecurity: false
  })
}

export default fp(securityHeaders, { name: 'security-headers', dependencies: [], fastify: '5.x' })
