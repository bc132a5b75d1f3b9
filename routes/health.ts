import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { Agent, AgentStatus } from '../src/agent/agent.ts'
import type { StoreStatus } from '../src/sessions/store.ts'
import { HEALTH_ANSWERS } from './examples.ts'

/** What the health routes tell beside what they find. */
export interface HealthOptions {
  readonly version: string
  readonly now: () => number
}

const Health = Type.Object({
  status: Type.Union([Type.Literal('healthy'), Type.Literal('degraded')]),
  reason: Type.Optional(Type.String({ description: 'Why it is degraded' })),
  timestamp: Type.String({ description: 'ISO 8601, UTC' }),
  active_sessions: Type.Optional(Type.Integer({ description: 'Missing while they cannot be counted' })),
  uptime_seconds: Type.Number(),
  version: Type.String(),
  store: Type.Object({ type: Type.String(), can_save: Type.Boolean() }),
  agent: Type.Object({
    type: Type.String(),
    name: Type.Optional(Type.String()),
    model: Type.Optional(Type.String()),
    can_save: Type.Boolean(),
    reachable: Type.Boolean({ description: 'As it was found last; an agent on a server may be unreachable while everything else works' })
  })
}, { title: 'Health' })

const Probe = Type.Object({ status: Type.String(), reason: Type.Optional(Type.String()) }, { title: 'Probe' })

const tags = ['monitoring']

const healthSchema = {
  operationId: 'health',
  summary: 'Whether the service works, and how much it holds',
  description: 'Cheap enough to be called every second. Degraded while sessions or conversations cannot be saved.',
  tags,
  response: { 200: Health, 503: Health }
}

const liveSchema = {
  operationId: 'live',
  summary: 'Whether the process answers',
  description: 'For platforms that restart what does not.',
  tags,
  response: { 200: Probe }
}

const readySchema = {
  operationId: 'ready',
  summary: 'Whether turns are taken',
  description: 'For platforms that send requests elsewhere while they are not.',
  tags,
  response: { 200: Probe, 503: Probe }
}

const healthConfig = {
  scope: 'open',
  answersUnderPressure: true,
  documentation: {
    answers: {
      200: { description: 'It works', examples: HEALTH_ANSWERS[200] },
      503: { description: 'It works in part; the body says why', headers: ['Retry-After'], examples: HEALTH_ANSWERS[503] }
    }
  }
} as const

const liveConfig = {
  scope: 'open',
  answersUnderPressure: true,
  documentation: { answers: { 200: { description: 'It does', examples: { live: { summary: 'It does', value: { status: 'live' } } } } } }
} as const

const readyConfig = {
  scope: 'open',
  answersUnderPressure: true,
  documentation: {
    answers: {
      200: { description: 'They are', examples: { ready: { summary: 'They are', value: { status: 'ready' } } } },
      503: { description: 'They are not', headers: ['Retry-After'], examples: { stopping: { summary: 'It stops', value: { status: 'not ready', reason: 'stopping' } } } }
    }
  }
} as const

/** Whoever asks a database that has gone may wait for long; those who watch a service do not. */
const PATIENCE_MS = 1000
const UNREADABLE = 'sessions cannot be read'

/** The id of no session. */
const NOBODY = ''

/** For those who balance by it: what is degraded may be well again by then. */
const RETRY_SECONDS = 5

/** `/health` for monitors, `/health/live` and `/health/ready` for platforms that restart what fails. */
const health: FastifyPluginAsyncTypebox<HealthOptions> = async function health (fastify, { version, now }) {
  const { sessionStore: store, agent, conversation } = fastify
  const startedAtMs = now()

  fastify.get('/health', { schema: healthSchema, config: healthConfig }, async function tellHealth (_request, reply) {
    const count = await readInTime(store.count().then(({ count }) => count))
    const sessions = store.status()
    const conversations = agent.status()
    const reason = explain(sessions, conversations) ?? (count === 'failed' ? UNREADABLE : undefined)
    reply.header('cache-control', 'no-store')
    if (reason !== undefined) reply.code(503).header('retry-after', RETRY_SECONDS)
    return {
      status: reason === undefined ? 'healthy' as const : 'degraded' as const,
      ...(reason !== undefined && { reason }),
      timestamp: new Date(now()).toISOString(),
      ...(typeof count === 'number' && { active_sessions: count }),
      uptime_seconds: Math.round((now() - startedAtMs) / 1000),
      version,
      store: { type: sessions.kind, can_save: sessions.canSave },
      agent: formatAgent(agent, conversations)
    }
  })

  fastify.get('/health/live', { schema: liveSchema, config: liveConfig }, async function tellLive (_request, reply) {
    reply.header('cache-control', 'no-store')
    return { status: 'live' }
  })

  fastify.get('/health/ready', { schema: readySchema, config: readyConfig }, async function tellReady (_request, reply) {
    const found = await readInTime(store.get(NOBODY))
    const sessions = store.status()
    const conversations = agent.status()
    const canSave = found === undefined && sessions.canSave && conversations.canSave
    const why = conversation.isDraining ? 'stopping' : canSave ? agent.unreachable() : explain(sessions, conversations) ?? UNREADABLE
    reply.header('cache-control', 'no-store')
    if (why === undefined) return { status: 'ready' }
    reply.code(503).header('retry-after', RETRY_SECONDS)
    return { status: 'not ready', reason: why }
  })
}

/** Why something could not be read is the store's to tell. */
async function readInTime<T> (reading: Promise<T>): Promise<T | 'failed' | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<'late'>(resolve => { timer = setTimeout(resolve, PATIENCE_MS, 'late') })
  return await Promise.race([reading.catch(() => 'failed' as const), patience]).finally(() => { clearTimeout(timer) })
}

/** What an operator has to look at, of sessions that are saved with a delay too; undefined if there is nothing. */
function explain (sessions: StoreStatus, conversations: AgentStatus): string | undefined {
  if (!sessions.canSave && !conversations.canSave && sessions.reason === conversations.reason) {
    return `neither sessions nor conversations can be saved: ${conversations.reason}`
  }
  const reasons = [
    sessions.canSave ? sessions.reason : sessions.reason ?? 'sessions cannot be saved',
    conversations.canSave ? conversations.reason : `conversations cannot be saved: ${conversations.reason}`
  ].filter(reason => reason !== undefined)
  return reasons.length === 0 ? undefined : reasons.join('; ')
}

function formatAgent (agent: Agent, { canSave }: AgentStatus) {
  const { kind, name, model } = agent.description
  const reachable = agent.unreachable() === undefined
  return { type: kind, ...(name !== undefined && { name }), ...(model !== undefined && { model }), can_save: canSave, reachable }
}

export default health
