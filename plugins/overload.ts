import { getHeapStatistics } from 'node:v8'
import underPressure from '@fastify/under-pressure'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Is answered also while everything else is refused: it tells what is going on, or takes load away. */
    answersUnderPressure?: boolean
  }
}

/** When the process has too much to do; each has a value that fits, save the clock. */
export interface OverloadOptions {
  /** Mean delay of the event loop. */
  readonly maxDelayMs?: number
  readonly maxHeapBytes?: number
  readonly sampleIntervalMs?: number
  readonly now: () => number
}

/** A turn waits for the event loop dozens of times: with a second each time, nobody gets an answer while it is of use. */
const MAX_DELAY_MS = 1000

/**
 * Above, the collector is at work nearly all the time, and the process ends soon. The limit itself fits the memory of a container, for which Node.js
 * asks. The memory of the whole process is not looked at: it does not shrink when what it held is free, and the service would refuse for ever.
 */
const MAX_HEAP_SHARE = 0.9

/** Of so long the delay is the mean: one long stop, as of the collector, or of a machine that was busy with the start, is no pressure yet. */
const SAMPLE_INTERVAL_MS = 5000
const RETRY_AFTER_SECONDS = 5

/** The log is told once in so long, not with each request. */
const WARN_INTERVAL_MS = 10_000

/** Refuses with OVERLOADED while the event loop is late or memory is short, before anything is read of a request. What runs goes on. */
async function overload (fastify: FastifyInstance, options: OverloadOptions): Promise<void> {
  const {
    maxDelayMs = MAX_DELAY_MS, maxHeapBytes = getHeapStatistics().heap_size_limit * MAX_HEAP_SHARE, sampleIntervalMs = SAMPLE_INTERVAL_MS, now
  } = options
  let warnedAtMs = -Infinity
  await fastify.register(underPressure, {
    maxEventLoopDelay: maxDelayMs,
    maxHeapUsedBytes: maxHeapBytes,
    sampleInterval: sampleIntervalMs,
    pressureHandler: async function refuse ({ routeOptions }, _reply, type, value) {
      if (routeOptions.config.answersUnderPressure === true) return
      if (Math.abs(now() - warnedAtMs) >= WARN_INTERVAL_MS) {
        warnedAtMs = now()
        fastify.log.warn({ code: 'OVERLOADED', pressure: type, value }, 'The process has too much to do: requests are refused')
      }
      throw new ServiceError('OVERLOADED', { retryAfterSeconds: RETRY_AFTER_SECONDS })
    }
  })
}

export default fp(overload, { name: 'overload', dependencies: ['errors'], fastify: '5.x' })
