import schedule from '@fastify/schedule'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { AsyncTask, SimpleIntervalJob } from 'toad-scheduler'
import { Sweep } from '../src/sweep.ts'

const JOB_ID = 'session-cleanup'

/** How often to sweep, and what counts as expired. */
export interface SessionCleanupOptions {
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly keepConversations: boolean
  readonly now: () => number
}

/** Sweeps expired sessions and their conversations, one replica at a time; closing waits for a sweep in flight. */
async function sessionCleanup (fastify: FastifyInstance, { intervalMs, ...options }: SessionCleanupOptions): Promise<void> {
  await fastify.register(schedule)
  const { engine, sessionStore: store, agent, turnDesk, metrics, log } = fastify
  const sweep = new Sweep({ store, agent, log, onEnd: sessionIds => { turnDesk.forget(sessionIds) }, ...options })
  let inFlight: Promise<unknown> = Promise.resolve()

  async function sweepOnce (): Promise<void> {
    // Another one of the replicas does it; if that dies, this one is asked again and does.
    if (!await engine.lead(JOB_ID, intervalMs)) return
    const startedMs = performance.now()
    const report = await sweep.run()
    metrics.sweeps.swept(report, performance.now() - startedMs)
    log.debug(report, 'Swept')
  }
  async function sweepInFlight (): Promise<void> {
    const run = sweepOnce()
    inFlight = Promise.allSettled([inFlight, run])
    await run
  }
  const task = new AsyncTask(JOB_ID, sweepInFlight, function logFailure (error) {
    metrics.sweeps.failed()
    log.error({ err: error }, 'The sweep failed; the next one tries again')
  })

  fastify.addHook('onReady', async function startSweeping () {
    const expired = fastify.sessionLoad.report?.expiredThreads ?? []
    // Not awaited: a start is not to wait for the clean-up of what an earlier run left.
    inFlight = sweep.forget(expired).catch((error: unknown) => {
      log.error({ err: error }, 'Conversations of expired sessions could not be removed; a later sweep tries again')
    })
    fastify.scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ milliseconds: intervalMs }, task, { id: JOB_ID }))
  })

  fastify.addHook('onClose', async function finishSweeping () {
    // The scheduler's own stop does not wait for a task that runs.
    if (fastify.scheduler.existsById(JOB_ID)) fastify.scheduler.removeById(JOB_ID)
    sweep.stop()
    await inFlight
  })
}

export default fp(sessionCleanup, { name: 'session-cleanup', dependencies: ['engine', 'session-store', 'agent', 'turn-desk', 'metrics'], fastify: '5.x' })
