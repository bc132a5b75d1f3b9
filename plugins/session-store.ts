import type { Tracer } from '@opentelemetry/api'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { LoadReport, SessionStore } from '../src/sessions/store.ts'
import { TracedSessionStore } from '../src/sessions/traced-store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    sessionStore: SessionStore
    /** What the store found when it loaded; undefined before that. */
    sessionLoad: { report: LoadReport | undefined }
  }
}

/** How long a session lives. */
export interface SessionStorePluginOptions {
  readonly timeoutMs: number
  readonly now: () => number
  readonly tracer: Tracer | undefined
}

/** The sessions as `fastify.sessionStore`: loaded before the server listens, flushed when it closes. */
async function sessionStore (fastify: FastifyInstance, { tracer, ...options }: SessionStorePluginOptions): Promise<void> {
  const { engine, metrics, log } = fastify
  const made = engine.createSessionStore({ ...options, log, observer: metrics.store })
  const store: SessionStore = tracer === undefined ? made : new TracedSessionStore(made, tracer)
  metrics.state.watch({ store })
  const load: FastifyInstance['sessionLoad'] = { report: undefined }
  fastify.decorate('sessionStore', store)
  fastify.decorate('sessionLoad', load)

  fastify.addHook('onReady', async function loadSessions () {
    const report = load.report = await store.open()
    metrics.store.loaded(report)
    metrics.sweeps.removed('expired', report.expired)
  })

  fastify.addHook('onClose', async function flushSessions () {
    await store.close()
  })
}

export default fp(sessionStore, { name: 'session-store', dependencies: ['metrics', 'engine'], fastify: '5.x' })
