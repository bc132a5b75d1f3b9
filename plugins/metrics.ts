import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Metrics, type MetricsOptions } from '../src/metrics/metrics.ts'
import { KNOWN_PLATFORMS } from '../src/sessions/user-id.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

/** What the metrics tell beside what they measure. */
export type MetricsPluginOptions = Pick<MetricsOptions, 'version' | 'now'>

/** What is measured, as `fastify.metrics`; registered before whatever may refuse a request, so that each one is counted. */
async function metrics (fastify: FastifyInstance, options: MetricsPluginOptions): Promise<void> {
  const instance = new Metrics({ ...options, platforms: ['api', ...KNOWN_PLATFORMS], log: fastify.log })
  fastify.decorate('metrics', instance)

  fastify.addHook('onRoute', function expectRequests ({ method, url }) {
    // A HEAD comes with every GET, and nobody sends it.
    for (const name of [method].flat()) if (name !== 'HEAD') instance.http.expect(name, url)
  })

  fastify.addHook('onRequest', function timeRequest (request, { raw }, done) {
    const startedMs = performance.now()
    const { method, routeOptions: { url: route } } = request
    // Not onResponse, which never comes where the client goes away; and a stream ends long after its handler.
    raw.once('close', () => {
      instance.http.ended({ method, route, status: raw.headersSent ? raw.statusCode : undefined }, performance.now() - startedMs)
    })
    done()
  })
}

export default fp(metrics, { name: 'metrics', dependencies: ['env'], fastify: '5.x' })
