import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
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

/** Turns that are streamed, or that may be asked for twice, as `fastify.turnDesk`. */
async function turnDesk (fastify: FastifyInstance, { now }: TurnDeskPluginOptions): Promise<void> {
  const desk = new TurnDesk({
    keepMs: KEEP_MS, maxTurnBytes: MAX_TURN_BYTES, maxBytes: MAX_BYTES, maxAnswerBytes: MAX_ANSWER_BYTES, now, newId: randomUUID
  })
  fastify.decorate('turnDesk', desk)

  const timer = setInterval(() => { desk.dropOld() }, DROP_INTERVAL_MS).unref()
  fastify.addHook('onClose', async function stopDropping () {
    clearInterval(timer)
  })
}

export default fp(turnDesk, { name: 'turn-desk', dependencies: [], fastify: '5.x' })
