import type { Tracer } from '@opentelemetry/api'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Conversation } from '../src/conversation.ts'
import { TracedConversation } from '../src/traced-conversation.ts'
import { TracedTurnSlots } from '../src/traced-turn-slots.ts'
import { TurnSlots } from '../src/turn-slots.ts'

declare module 'fastify' {
  interface FastifyInstance {
    conversation: Conversation
  }
}

/** How turns are run, and how long they may go on once the service stops. */
export interface ConversationPluginOptions {
  readonly pendingText: 'repeat' | 'reject'
  readonly maxQueuedTurns: number
  readonly maxConcurrentTurns: number
  readonly agentTimeoutMs: number
  readonly approvalTimeoutMs: number | undefined
  readonly keepConversations: boolean
  readonly now: () => number
  /** From the wish to close until running turns are cancelled. */
  readonly drainMs: number
  /** From then on until those that do not end are given up. */
  readonly stopMs: number
  readonly tracer: Tracer | undefined
}

/** Turns as `fastify.conversation`; closing waits for those that run, and refuses new ones meanwhile. */
async function conversation (
  fastify: FastifyInstance, { drainMs, stopMs, maxConcurrentTurns, tracer, ...more }: ConversationPluginOptions
): Promise<void> {
  const { sessionStore: store, agent, turnDesk, metrics } = fastify
  const limits = { maxRunning: maxConcurrentTurns }
  const slots = tracer === undefined ? new TurnSlots(limits) : new TracedTurnSlots(limits, tracer)
  const onEnd = (sessionIds: readonly string[]): void => { turnDesk.forget(sessionIds) }
  const options = { store, agent, slots, onEnd, observer: metrics.turns, ...more }
  const instance = tracer === undefined ? new Conversation(options) : new TracedConversation(options, tracer)
  metrics.state.watch({ turns: instance })
  fastify.decorate('conversation', instance)

  // preClose, not onClose: the server still listens, so that those who come too late are told so.
  fastify.addHook('preClose', async function drainTurns () {
    await instance.drain(drainMs, stopMs)
    turnDesk.stop()
  })
}

export default fp(conversation, { name: 'conversation', dependencies: ['session-store', 'agent', 'turn-desk', 'metrics'], fastify: '5.x' })
