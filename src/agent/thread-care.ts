import type { Log } from '../log.ts'
import type { Person, Question, RunRequest } from './agent.ts'
import { isStorageError, rethrowAsServiceError } from './disk-error.ts'
import type { Graph, ThreadKeeper } from './graph.ts'
import type { GraphRuns, RunEnd } from './graph-runs.ts'
import { findLostLease } from './lost-lease.ts'
import { RestingThreads } from './resting-threads.ts'
import { ThreadReader } from './thread-reader.ts'
import { ThreadRepair, type Failure, type ThreadConfig } from './thread-repair.ts'
import { findOpenCalls } from './tool-results.ts'
import { findWaiting, type Waiting } from './waiting.ts'

/** Whose threads, and how repairs run. */
export interface ThreadCareOptions {
  readonly graph: Graph
  readonly threads: ThreadKeeper
  readonly runs: Pick<GraphRuns, 'configure'>
  readonly log: Log
}

/** A run that failed, as its repair has to know it. */
export interface FailedRun {
  readonly request: RunRequest
  readonly failure: Omit<Failure, 'isCutOff'>
  /** What the thread waited with, if the run was about that. */
  readonly waiting?: Waiting
}

/** Nobody: for a run that only asks again, and reaches no tool. */
const NOBODY: Person = { platform: 'holdline', userId: '' }

/**
 * What is done to the threads of a graph besides running them.
 *
 * *Promise.* A thread is fit for the next message after every run, or at the latest when `pending` resolves. What is another replica's by now is left
 * to it.
 */
export class ThreadCare {
  readonly #options: ThreadCareOptions
  readonly #reader: ThreadReader
  readonly #repair: ThreadRepair
  readonly #atRest: RestingThreads

  constructor (options: ThreadCareOptions) {
    this.#options = options
    this.#reader = new ThreadReader(options.graph)
    this.#repair = new ThreadRepair(options.graph, options.log)
    this.#atRest = new RestingThreads(() => options.threads.epoch)
  }

  /** What the thread asks, once what a crash left of it is mended; see `Agent.pending`. */
  async pending (threadId: string): Promise<Question | undefined> {
    const { threads, graph, runs } = this.#options
    if (!threads.isShared && this.#atRest.has(threadId)) return undefined
    try {
      const snapshot = await this.#reader.readState(threadId)
      const isMended = await this.#repair.mend(snapshot, runs.configure({ threadId, person: NOBODY }))
      return (await findWaiting(graph, isMended ? await this.#reader.readState(threadId) : snapshot))?.question
    } catch (error) {
      return rethrowAsServiceError(error)
    }
  }

  /** Before a run; resolves the epoch in which it begins, for `endRun`. */
  beginRun (threadId: string): number {
    return this.#atRest.delete(threadId)
  }

  /** After a run that ended well. */
  async endRun (threadId: string, { isQuestion, messages, seen }: RunEnd, epoch: number): Promise<void> {
    // A graph may end with calls that it never ran: its provider would refuse the thread from then on.
    if (!isQuestion && findOpenCalls(seen).length > 0) await this.#repair.answerOpen(configure(threadId), messages)
    if (!isQuestion) this.#atRest.add(threadId, epoch)
    await this.#options.threads.prune(threadId, { isResting: !isQuestion })
  }

  /** After a run that failed: makes the thread fit for the next message, then throws why the run failed. */
  async keepFit (error: unknown, { request, failure, waiting }: FailedRun): Promise<never> {
    const { threadId, signal } = request
    // What is to be repaired is another replica's by now, which does so before its turn.
    throwLostLease(error, signal.reason)
    let cause: unknown
    try {
      const isCutOff = signal.aborted || isStorageError(error)
      const isWhole = !signal.aborted && isStorageError(error) && await this.#isWhole(threadId, failure.humanId)
      if (!isWhole) await this.#repair.afterFailure(this.#options.runs.configure(request), { ...failure, isCutOff }, waiting)
    } catch (failed) {
      throwLostLease(failed)
      cause = failed
      this.#options.log.error({ err: failed, thread_id: threadId }, 'A thread could not be made fit after a failed run; the next message tries again')
    }
    if (signal.aborted) throw signal.reason
    // A disk that fails the repair, if not the run, is the cause to look at; `pending` finishes the repair before the next turn.
    return rethrowAsServiceError(isStorageError(cause) && !isStorageError(error) ? cause : error)
  }

  /**
   * Whether the turn of a message is in the thread from its beginning to its end: a write whose acknowledgement was lost may have been done. Without
   * its message, its answer would be one to nothing; whoever repeats the message finds it.
   */
  async #isWhole (threadId: string, messageId: string | undefined): Promise<boolean> {
    return messageId !== undefined && await this.#reader.findReply(threadId, messageId) !== undefined
  }

  /** Ends what the thread waits with; see `ThreadRepair.dismiss`. */
  async endQuestion (threadId: string, reason: string): Promise<void> {
    await this.#repair.dismiss(configure(threadId), reason).catch(rethrowAsServiceError)
  }

  /** Removes the thread. */
  async forget (threadId: string): Promise<void> {
    this.#atRest.delete(threadId)
    await this.#options.threads.deleteThread(threadId).catch(rethrowAsServiceError)
  }
}

function throwLostLease (...errors: readonly unknown[]): void {
  for (const error of errors) {
    const lost = findLostLease(error)
    if (lost !== undefined) throw lost
  }
}

function configure (threadId: string): ThreadConfig {
  return { configurable: { thread_id: threadId } }
}
