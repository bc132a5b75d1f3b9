import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { SharedTurns } from '../src/shared-turns.ts'
import { TurnDesk } from '../src/turn-desk.ts'

declare module 'fastify' {
  interface FastifyInstance {
    turnDesk: TurnDesk
  }
}

/** The clock that says how old a turn is. */
export interface TurnDeskPluginOptions {
  readonly now: () => number
}

const KEEP_MS = 5 * 60_000
const MAX_TURN_BYTES = 1024 * 1024
const MAX_BYTES = 64 * 1024 * 1024
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

/** What has become too old is let go of within so long, also while nobody asks for anything. */
const DROP_INTERVAL_MS = 30_000

/** Turns that are streamed, or that may be asked for twice, as `fastify.turnDesk`; closing waits until other replicas can read what they told. */
async function turnDesk (fastify: FastifyInstance, { now }: TurnDeskPluginOptions): Promise<void> {
  const { engine: { turnLog }, sessionStore: store, log } = fastify
  const hasSession = async (sessionId: string): Promise<boolean> => await store.get(sessionId) !== undefined
  const shared = turnLog === undefined ? undefined : new SharedTurns({ turnLog, hasSession, log })
  const desk = new TurnDesk({
    keepMs: KEEP_MS, maxTurnBytes: MAX_TURN_BYTES, maxBytes: MAX_BYTES, maxAnswerBytes: MAX_ANSWER_BYTES, now, newId: randomUUID, shared
  })
  fastify.decorate('turnDesk', desk)

  const timer = setInterval(() => { desk.dropOld() }, DROP_INTERVAL_MS).unref()
  fastify.addHook('onClose', async function finishWriting () {
    clearInterval(timer)
    await desk.close()
  })
}

export default fp(turnDesk, { name: 'turn-desk', dependencies: ['engine', 'session-store'], fastify: '5.x' })
