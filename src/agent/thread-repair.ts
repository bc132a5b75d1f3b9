import type { BaseMessage } from '@langchain/core/messages'
import { END, type StateSnapshot } from '@langchain/langgraph'
import type { Log } from '../log.ts'
import { isStorageError } from './disk-error.ts'
import type { Graph } from './graph.ts'
import { isTakenOver } from './lost-lease.ts'
import { updateMessages } from './message-update.ts'
import { isAiMessage, readMessages } from './messages.ts'
import { answerOpenCalls, findOpenCalls, findResult, keepAnswered, hasCome, type Answer } from './tool-results.ts'
import { findWaiting, type Waiting } from './waiting.ts'

/** Which thread, and at which checkpoint, if not at the newest. */
export interface ThreadConfig {
  configurable?: Record<string, unknown> | undefined
  metadata?: Record<string, unknown>
}

/** LangGraph's name for a checkpoint that repeats another one. */
const COPY = '__copy__'

/** In a checkpoint's metadata: a repair has begun, and this message, if any, is still to be taken out. */
const REPAIRING = 'holdline_repairing'

/** How long a step may take to come to its question once more: somebody waits for it. */
const ASK_AGAIN_MS = 3000

/** Checkpoints to look through for a question; one turn writes a handful. */
const MAX_LOOK_BACK = 50

/** What failed. */
export interface Failure {
  /** The person's message, if the run was about one. */
  readonly humanId?: string
  /** The answer to a question, if the run was about one. */
  readonly answer?: Answer
  /** Whether the run was ended from outside, so that nobody knows how far it got; else a step of it failed, and the yes is used up. */
  readonly isCutOff: boolean
}

/**
 * Makes a thread fit for the next message after a run that failed half-way.
 *
 * *Promise.* The person's message is gone, and what the agent said to it; every tool call left in the thread has its result; the results of tools
 * that ran are kept; nothing is pending, unless a yes was cut off before anything came of it: then its question is asked again.
 *
 * *Not promised.* That it is done in one step: `mend` finishes what a crash in between leaves.
 */
export class ThreadRepair {
  readonly #graph: Graph
  readonly #log: Log

  constructor (graph: Graph, log: Log) {
    this.#graph = graph
    this.#log = log
  }

  /** Repairs; `run` is what a run of the thread is given, `question` what was asked, if the one that failed was about a question. */
  async afterFailure (run: ThreadConfig, failure: Failure, question?: Waiting): Promise<void> {
    const config = { configurable: run.configurable }
    const { humanId, answer, isCutOff } = failure
    const snapshot = await this.#graph.getState(config, { subgraphs: true })
    if (snapshot.createdAt === undefined) return
    const mayAskAgain = question?.isAlone === true && isCutOff && answer !== undefined && answer.approved.length > 0
    // Still in the step that asked: it can be run again as long as none of those that were answered has done its part.
    const now = await findWaiting(this.#graph, snapshot)
    if (mayAskAgain && now?.isAlone === true && await this.#askAgain(run, question.config)) return
    const nested = listNestedResults(snapshot)
    // Takes in the results of the tasks that finished, and drops the tasks that did not.
    await this.#graph.updateState({ ...config, metadata: { [REPAIRING]: humanId ?? '' } }, null, END)
    const messages = readMessages((await this.#graph.getState(config)).values)
    const hasEnded = now === undefined && mayAskAgain && !hasCome(messages, answer)
    if (hasEnded && await this.#askAgain(run, question.config)) return
    await this.#putInOrder(config, messages, nested, humanId, answer !== undefined)
  }

  /**
   * Finishes what a crash, or a disk that failed, in the middle of a repair left; and asks a question again that took an answer which its graph
   * refused, since it would refuse every later one too. Resolves to whether there was anything to do.
   */
  async mend (snapshot: StateSnapshot, run: ThreadConfig): Promise<boolean> {
    if (snapshot.createdAt === undefined) return false
    const waiting = await findWaiting(this.#graph, snapshot)
    const isPoisoned = waiting !== undefined && snapshot.tasks.some(task => task.interrupts.length > 0 && task.error !== undefined)
    if (isPoisoned && waiting.isAlone && await this.#askAgain(run, snapshot.config)) return true
    const messages = readMessages(snapshot.values)
    const open = findOpenCalls(messages).flatMap(call => call.id ?? [])
    const repairing: unknown = snapshot.metadata === undefined ? undefined : Reflect.get(snapshot.metadata, REPAIRING)
    const isFit = snapshot.next.length === 0 && open.length === 0 && repairing === undefined
    if ((waiting !== undefined && !isPoisoned) || isFit) return false
    const asked = open.length === 0 || isPoisoned ? undefined : await findQuestion(this.#graph, { configurable: run.configurable }, messages, open)
    if (asked !== undefined && await this.#askAgain(run, asked)) return true
    await this.afterFailure(run, { isCutOff: true, ...(typeof repairing === 'string' && repairing !== '' && { humanId: repairing }) })
    return true
  }

  /** Ends the question that a thread waits with: the calls that are open get `reason` as their result. */
  async dismiss (config: ThreadConfig, reason: string): Promise<void> {
    await this.#graph.updateState({ ...config, metadata: { [REPAIRING]: '' } }, null, END)
    const messages = readMessages((await this.#graph.getState(config)).values)
    await this.#write(config, messages, answerOpenCalls(messages, reason))
  }

  /** Gives results to calls that a run which ended well left without. */
  async answerOpen (config: ThreadConfig, messages: readonly BaseMessage[]): Promise<void> {
    await this.#write(config, messages, answerOpenCalls(messages))
  }

  /**
   * The thread goes back to the checkpoint that asked. A copy of that checkpoint runs up to its interrupt anew, because the old one may hold the
   * answer that was cut off, and would obey it. Resolves to false if the step does not come that far any more, for whatever reason of its own.
   */
  async #askAgain (run: ThreadConfig, question: ThreadConfig): Promise<boolean> {
    const copy = await this.#graph.updateState(question, null, COPY)
    if (typeof copy !== 'object' || copy === null || !('configurable' in copy)) throw new Error('The graph gave no checkpoint for the copy')
    try {
      const configurable = Object.assign({}, run.configurable, copy.configurable)
      await this.#graph.invoke(null, { ...run, configurable, signal: AbortSignal.timeout(ASK_AGAIN_MS) })
      return true
    } catch (error) {
      if (isStorageError(error) || isTakenOver(error)) throw error
      this.#log.warn({ err: error }, 'A question whose answer was cut off could not be asked again; it is taken out')
      return false
    }
  }

  async #putInOrder (
    config: ThreadConfig, messages: readonly BaseMessage[], nested: readonly BaseMessage[], humanId: string | undefined, keepsCalls: boolean
  ): Promise<void> {
    const known = new Set(messages.map(message => message.id))
    const all = [...messages, ...nested.filter(message => !known.has(message.id))]
    const rest = humanId === undefined ? all : takeOut(all, humanId)
    const kept = keepsCalls ? answerOpenCalls(rest) : keepAnswered(rest)
    const isInOrder = kept.length === messages.length && kept.every((message, index) => message === messages[index])
    if (isInOrder) await this.#settle(config)
    else await this.#write(config, messages, kept)
  }

  /** The whole list anew, past the graph's own reducer: not every one takes a message out. */
  async #write (config: ThreadConfig, current: readonly BaseMessage[], messages: readonly BaseMessage[]): Promise<void> {
    await updateMessages(this.#graph, config, current, messages)
    await this.#settle(config)
  }

  /** Nothing is pending any more, and the repair is over. */
  async #settle (config: ThreadConfig): Promise<void> {
    await this.#graph.updateState({ ...config, metadata: { [REPAIRING]: undefined } }, null, END)
  }
}

/** The message of a turn, and what was said to it: without it, that would be an answer to nothing. What tools did stays. */
function takeOut (messages: readonly BaseMessage[], humanId: string): BaseMessage[] {
  const start = messages.findIndex(message => message.id === humanId)
  const isSaid = (message: BaseMessage): boolean => isAiMessage(message) && (message.tool_calls ?? []).length === 0
  return messages.filter((message, index) => start < 0 || index < start || (index > start && !isSaid(message)))
}

/** What tools did within graphs that the thread's graph holds: their own states end with the run. */
function listNestedResults ({ tasks }: StateSnapshot): BaseMessage[] {
  const messages = tasks.flatMap(({ state }) => state !== undefined && 'values' in state ? readMessages(state.values) : [])
  const isCall = (message: BaseMessage) => isAiMessage(message) && (message.tool_calls ?? []).some(call => findResult(messages, call.id ?? '') !== undefined)
  return messages.filter(message => message.type === 'tool' || isCall(message))
}

/** The newest checkpoint that asks about these calls, unless one of the calls that it asks about has a result. */
async function findQuestion (
  graph: Graph, config: ThreadConfig, messages: readonly BaseMessage[], open: readonly string[]
): Promise<ThreadConfig | undefined> {
  for await (const earlier of graph.getStateHistory(config, { limit: MAX_LOOK_BACK })) {
    const waiting = await findWaiting(graph, earlier)
    const question = waiting?.question
    if (question === undefined || !question.actions.some(action => open.includes(action.toolCallId))) continue
    const hasResult = question.actions.some(action => findResult(messages, action.toolCallId) !== undefined)
    return hasResult || waiting?.isAlone !== true ? undefined : earlier.config
  }
  return undefined
}
