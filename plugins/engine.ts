import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Engine } from '../src/engine.ts'
import { openEngine, type OpenEngineOptions } from '../src/open-engine.ts'

declare module 'fastify' {
  interface FastifyInstance {
    engine: Engine
  }
}

/** Where everything is kept; see `openEngine`. */
export type EnginePluginOptions = Omit<OpenEngineOptions, 'log'>

/** What keeps sessions and conversations as `fastify.engine`: there before whatever uses it, closed after all of that. */
async function engine (fastify: FastifyInstance, options: EnginePluginOptions): Promise<void> {
  const opened = await openEngine({ ...options, log: fastify.log })
  fastify.decorate('engine', opened)

  fastify.addHook('onClose', async function closeEngine () {
    await opened.close()
  })
}

export default fp(engine, { name: 'engine', dependencies: [], fastify: '5.x' })
