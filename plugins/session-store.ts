import type { Tracer } from '@opentelemetry/api'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { CsvSessionStore } from '../src/sessions/csv/store.ts'
import type { LoadReport, SessionStore } from '../src/sessions/store.ts'
import { TracedSessionStore } from '../src/sessions/traced-store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    sessionStore: SessionStore
    /** What the store found when it loaded; undefined before that. */
    sessionLoad: { report: LoadReport | undefined }
  }
}

/** Which file keeps the sessions, and how. */
export interface SessionStorePluginOptions {
  readonly path: string
  readonly timeoutMs: number
  readonly fsync: 'always' | 'never'
  readonly now: () => number
  readonly tracer: Tracer | undefined
}

/** The sessions as `fastify.sessionStore`: loaded before the server listens, flushed when it closes. */
async function sessionStore (fastify: FastifyInstance, { tracer, ...options }: SessionStorePluginOptions): Promise<void> {
  const file = new CsvSessionStore({ ...options, log: fastify.log })
  const store: SessionStore = tracer === undefined ? file : new TracedSessionStore(file, tracer)
  const load: FastifyInstance['sessionLoad'] = { report: undefined }
  fastify.decorate('sessionStore', store)
  fastify.decorate('sessionLoad', load)

  fastify.addHook('onReady', async function loadSessions () {
    load.report = await store.open()
  })

  fastify.addHook('onClose', async function flushSessions () {
    await store.close()
  })
}

export default fp(sessionStore, { name: 'session-store', dependencies: [], fastify: '5.x' })
