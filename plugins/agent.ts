import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Agent, AgentDescription } from '../src/agent/agent.ts'
import { loadAgent, type LoadAgentOptions } from '../src/agent/load.ts'

declare module 'fastify' {
  interface FastifyInstance {
    agent: Agent
  }
}

/** Which agent; see `loadAgent`. */
export type AgentPluginOptions = Omit<LoadAgentOptions, 'log' | 'openConversations' | 'isShared'>

/** The agent as `fastify.agent`; its conversations are closed last but one, after the turns and before the sessions. */
async function agent (fastify: FastifyInstance, options: AgentPluginOptions): Promise<void> {
  const { engine, log } = fastify
  const { now = Date.now, tracer } = options
  const openConversations = async () => await engine.openConversations({ now, log, tracer })
  const loaded = await loadAgent({ ...options, log, openConversations, isShared: engine.kind !== 'csv' })
  fastify.decorate('agent', loaded.agent)
  fastify.metrics.state.watch({ agent: loaded.agent })
  const { kind, name, model } = loaded.agent.description
  if (model !== undefined) fastify.metrics.turns.expectModel(nameModel(model))
  fastify.log.info({ agent: kind, name, model }, describeAgent(loaded.agent.description))

  fastify.addHook('onClose', async function closeConversations () {
    await loaded.close()
  })
}

/** As its answers name it: without the provider, which the offline model has none of. */
function nameModel (model: string): string {
  return model.slice(model.indexOf(':') + 1)
}

function describeAgent ({ kind, name, model }: AgentDescription): string {
  if (kind !== 'built-in') return `The agent is ${name}`
  return model === 'offline' ? 'The agent runs on the offline model, which only echoes; set MODEL to use a real one' : `The agent runs on ${model}`
}

export default fp(agent, { name: 'agent', dependencies: ['metrics', 'engine'], fastify: '5.x' })
