import type { AgentEvent } from '../agent.ts'
import { describeReply } from '../events.ts'
import { endLateRuns, endRuns, waitForRuns } from './left-over.ts'
import { Repairs } from './repairs.ts'
import type { LangGraphServer } from './server.ts'
import { endOpenCalls, isFit, mendThread, repairThread, type Failure } from './thread-repair.ts'
import { readPending, type ThreadState } from './thread-state.ts'

/** How long it may take to end a run and to repair its thread; what is not done by then, `pending` does. */
const REPAIR_MS = 10_000

/** How long a caller whose time is up waits for that: a service that stops has little more. */
const PARTING_MS = 500

/**
 * What is done to threads on a LangGraph server besides running them.
 *
 * *Promise.* No caller is held for long once its signal has ended: the work goes on, and whoever comes next waits for it. Where it fails, the log
 * tells, and `pending` tries again.
 */
export class ThreadCare {
  readonly #server: LangGraphServer
  readonly #leftOverMs: number
  readonly #repairs = new Repairs()

  constructor (server: LangGraphServer, leftOverMs: number) {
    this.#server = server
    this.#leftOverMs = leftOverMs
  }

  /** Resolves when nothing is being done to the thread. Throws the signal's reason. */
  async ready (threadId: string, signal?: AbortSignal): Promise<void> {
    await this.#repairs.wait(threadId, signal)
  }

  /** Ends what a crash left running on a thread, and mends what it left there. Throws the signal's reason. */
  async settle (threadId: string, signal?: AbortSignal): Promise<void> {
    await this.#do(threadId, this.#leftOverMs + REPAIR_MS, async server => {
      if (await waitForLeftOver(server, threadId, this.#leftOverMs)) await endRuns(server, threadId)
      const state = await server.readState(threadId)
      if (state !== undefined && !isFit(state)) await mendThread(server, threadId, state)
    }, signal)
    signal?.throwIfAborted()
  }

  /**
   * After a run that failed or was ended: nothing goes on, and the thread is fit for the next message. `isUnheard`: nobody knows whether the run has
   * begun, so that it may begin only now. Throws nothing.
   */
  async keepFit (threadId: string, failure: Failure & { readonly isUnheard: boolean }, signal: AbortSignal): Promise<void> {
    await this.#do(threadId, REPAIR_MS, async server => {
      await (failure.isUnheard ? endLateRuns(server, threadId) : endRuns(server, threadId))
      await repairThread(server, threadId, failure)
    }, signal, PARTING_MS).catch(() => {})
  }

  /** Ends what a thread waits with; see `endOpenCalls`. Throws the signal's reason. */
  async endQuestion (threadId: string, reason: string, signal: AbortSignal): Promise<void> {
    await this.#do(threadId, REPAIR_MS, async server => { await endOpenCalls(server, threadId, reason) }, signal)
    signal.throwIfAborted()
  }

  async #do (
    threadId: string, limitMs: number, work: (server: LangGraphServer) => Promise<void>, signal?: AbortSignal, partingMs?: number
  ): Promise<void> {
    await this.#repairs.run(threadId, async () => {
      try {
        await work(this.#server.within(AbortSignal.timeout(limitMs)))
      } catch (error) {
        this.#server.log.warn({ err: error }, 'A conversation on the LangGraph server could not be made fit; the next message tries again')
        throw error
      }
    }, signal, partingMs)
  }
}

/** What the turn of a message came to, as far as its thread tells. */
export function describeOutcome (state: ThreadState, messageId: string): AgentEvent | undefined {
  return describeReply(state.messages, messageId, readPending(state), state.next.length === 0)
}

/** What a run that nobody here followed made of a message; undefined where it did not end well. */
export async function findOutcome (
  server: LangGraphServer, threadId: string, isOwn: (messageId: string) => boolean
): Promise<AgentEvent | undefined> {
  const state = await server.readState(threadId)
  const id = state?.messages.findLast(message => message.type === 'human' && message.id !== undefined && isOwn(message.id))?.id
  return state?.isOfRun === true && id !== undefined && isFit(state) ? describeOutcome(state, id) : undefined
}

/** Whether a run is still under way after it had the time to end by itself. */
async function waitForLeftOver (server: LangGraphServer, threadId: string, patienceMs: number): Promise<boolean> {
  const runs = await server.listActiveRuns(threadId)
  if (runs.length === 0) return false
  server.log.warn({ runs: runs.length }, 'A run of the LangGraph server was still under way; it is waited for')
  return (await waitForRuns(server, threadId, patienceMs)).length > 0
}
