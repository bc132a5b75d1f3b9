import { randomUUID } from 'node:crypto'
import type { BaseCallbackHandler } from '@langchain/core/callbacks/base'
import { HumanMessage, type BaseMessage } from '@langchain/core/messages'
import { isInterrupted } from '@langchain/langgraph'
import { ServiceError } from '../errors.ts'
import type {
  Agent, AgentDescription, AgentEvent, AgentStatus, Decision, DismissRequest, Message, Person, Question, ResumeRequest, RunRequest,
  ThreadActivity, TurnRequest
} from './agent.ts'
import type { Log } from '../log.ts'
import { canBeToldNo, checkDecisions, listApproved, parseResume, type CheckedTool } from './approvals.ts'
import { isStorageError, rethrowAsServiceError } from './disk-error.ts'
import type { Graph, RunLimits, ThreadKeeper } from './graph.ts'
import { findLostLease } from './lost-lease.ts'
import { readMessages } from './messages.ts'
import { Narration, type Speakers } from './narration.ts'
import { RestingThreads } from './resting-threads.ts'
import { composeResume } from './resume-input.ts'
import { readChunk, type Chunk } from './run-chunk.ts'
import type { DescribeRun } from './run-context.ts'
import { ThreadReader } from './thread-reader.ts'
import { ThreadRepair, type ThreadConfig } from './thread-repair.ts'
import { limitTools, ToolCallLimit } from './tool-call-limit.ts'
import { findOpenCalls, type Answer } from './tool-results.ts'
import { findWaiting } from './waiting.ts'

/** What a graph needs to be an agent. */
export interface LangGraphAgentOptions {
  readonly description: AgentDescription
  readonly graph: Graph
  readonly tools: readonly CheckedTool[]
  readonly threads: ThreadKeeper
  readonly log: Log
  readonly limits?: RunLimits
  readonly describeRun: DescribeRun
  /** Whether nothing changes what the model of `createAgent` says, so that it is told word by word from the first run on. */
  readonly speaksAtOnce?: boolean
  readonly newId?: () => string
  /** Who is told by LangChain of what a run calls, anew for each run. */
  readonly watchRun?: WatchRun
}

/** Makes those who are told of what a run calls. */
export type WatchRun = () => readonly BaseCallbackHandler[]

/** The step of `createAgent` whose model speaks to the person. */
const MODEL_NODE = 'model_request'

/** Nobody: for a run that only asks again, and reaches no tool. */
const NOBODY: Person = { platform: 'holdline', userId: '' }

/** A compiled graph as an `Agent`. */
export class LangGraphAgent implements Agent {
  readonly description: AgentDescription
  readonly #options: Required<LangGraphAgentOptions>
  readonly #graph: Graph
  readonly #reader: ThreadReader
  readonly #repair: ThreadRepair
  readonly #atRest: RestingThreads
  readonly #speakers: Speakers

  constructor (options: LangGraphAgentOptions) {
    this.description = options.description
    this.#options = { limits: { maxToolCalls: 25, maxSteps: 100 }, speaksAtOnce: true, newId: randomUUID, watchRun: () => [], ...options }
    this.#graph = options.graph
    this.#reader = new ThreadReader(options.graph)
    this.#repair = new ThreadRepair(options.graph, options.log)
    limitTools(options.graph)
    this.#speakers = new Map(this.#options.speaksAtOnce ? [[MODEL_NODE, 0]] : [])
    this.#atRest = new RestingThreads(() => options.threads.epoch)
  }

  status (): AgentStatus {
    return this.#options.threads.status()
  }

  /** It is here. */
  unreachable (): undefined {
    return undefined
  }

  async * turn (request: TurnRequest): AsyncGenerator<AgentEvent> {
    const { text, messageId = this.#options.newId() } = request
    try {
      yield * this.#run({ messages: [new HumanMessage({ id: messageId, content: text })] }, request, [])
    } catch (error) {
      await this.#keepFit(request, error, isCutOff => this.#repair.afterFailure(this.#configure(request), { humanId: messageId, isCutOff }))
    }
  }

  async * resume (request: ResumeRequest): AsyncGenerator<AgentEvent> {
    const { question, decisions, threadId } = request
    const waiting = await this.#reader.findWaiting(threadId)
    if (waiting?.question.fingerprint !== question.fingerprint) throw new ServiceError('APPROVAL_NOT_PENDING')
    const answer: Answer = { approved: listApproved(question, decisions), messageCount: waiting.messages.length }
    try {
      yield * this.#run(composeResume(waiting, decisions, findOpenCalls(waiting.messages)), request, answer.approved, waiting.messages)
    } catch (error) {
      await this.#keepFit(request, error, isCutOff => this.#repair.afterFailure(this.#configure(request), { answer, isCutOff }, waiting))
    }
  }

  async dismiss (request: DismissRequest): Promise<void> {
    const { question, reason, threadId } = request
    if (canBeToldNo(question)) {
      let last: AgentEvent | undefined
      for await (const event of this.resume({ ...request, decisions: question.actions.map(() => ({ type: 'reject', message: reason })) })) last = event
      if (last?.type !== 'question') return
    }
    await this.#repair.dismiss(configure(threadId), reason).catch(rethrowAsServiceError)
  }

  async pending (threadId: string): Promise<Question | undefined> {
    if (!this.#options.threads.isShared && this.#atRest.has(threadId)) return undefined
    try {
      const snapshot = await this.#reader.readState(threadId)
      const isMended = await this.#repair.mend(snapshot, this.#configure({ threadId, person: NOBODY }))
      return (await findWaiting(this.#graph, isMended ? await this.#reader.readState(threadId) : snapshot))?.question
    } catch (error) {
      return rethrowAsServiceError(error)
    }
  }

  async findReply (threadId: string, messageId: string): Promise<AgentEvent | undefined> {
    return await this.#reader.findReply(threadId, messageId)
  }

  async haveResults (threadId: string, toolCallIds: readonly string[]): Promise<boolean> {
    return await this.#reader.haveResults(threadId, toolCallIds)
  }

  checkDecisions (question: Question, decisions: readonly Decision[]): void {
    checkDecisions(question, decisions, this.#options.tools)
  }

  parseResume (question: Question, resume: unknown): Decision[] {
    return parseResume(question, resume)
  }

  async history (threadId: string): Promise<Message[]> {
    return await this.#reader.history(threadId)
  }

  async forget (threadId: string): Promise<void> {
    this.#atRest.delete(threadId)
    await this.#options.threads.deleteThread(threadId).catch(rethrowAsServiceError)
  }

  async listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]> {
    return await this.#options.threads.listThreads(afterThreadId, limit).catch(rethrowAsServiceError)
  }

  async * #run (input: unknown, request: RunRequest, approved: string[], before?: readonly BaseMessage[]): AsyncGenerator<AgentEvent> {
    const { threadId, wantsTokens = false } = request
    request.signal.throwIfAborted()
    const epoch = this.#atRest.delete(threadId)
    const narrate = (known: readonly BaseMessage[]) => new Narration({ before: known, wantsTokens, speakers: this.#speakers })
    let narration = before === undefined ? undefined : narrate(before)
    let messages: readonly BaseMessage[] = []
    let isQuestion = false
    for await (const { state, token } of this.#stream(input, request, approved)) {
      if (token !== undefined) yield * narration?.hear(token.message, token.node, token.model) ?? []
      if (isInterrupted(state)) isQuestion = true
      else if (state !== undefined) {
        messages = readMessages(state)
        narration ??= narrate(messages)
        yield * narration.see(messages)
      }
    }
    await this.#end(request, epoch, isQuestion, messages, before === undefined ? narration?.seen ?? [] : messages)
    if (isQuestion) yield await this.#describeQuestion(threadId, narration)
    else yield * narration?.end(messages) ?? []
  }

  async * #stream (input: unknown, request: RunRequest, approved: string[]): AsyncGenerator<Chunk> {
    const callbacks = this.#options.watchRun()
    const chunks = this.#graph._streamIterator(input, {
      ...this.#configure(request, approved),
      ...(callbacks.length > 0 && { callbacks }),
      signal: request.signal,
      streamMode: request.wantsTokens === true ? ['values', 'messages'] : ['values']
    })
    for await (const chunk of chunks) yield readChunk(chunk)
  }

  #configure ({ threadId, person }: Pick<RunRequest, 'threadId' | 'person'>, approved: string[] = []) {
    const { limits, describeRun } = this.#options
    const { context, configurable } = describeRun(person, approved)
    return {
      configurable: { ...configurable, ...new ToolCallLimit(limits.maxToolCalls).configurable, thread_id: threadId },
      context,
      // One checkpoint a turn: enough to survive a crash between turns, a fraction of the writes.
      durability: 'exit',
      recursionLimit: limits.maxSteps
    }
  }

  async #describeQuestion (threadId: string, narration: Narration | undefined): Promise<AgentEvent> {
    const question = await this.pending(threadId)
    if (question === undefined) throw new Error('The graph was interrupted, but nothing waits for an answer')
    return { type: 'question', question, ...narration?.facts }
  }

  /** After a run that ended well. */
  async #end ({ threadId }: RunRequest, epoch: number, isQuestion: boolean, messages: readonly BaseMessage[], seen: readonly BaseMessage[]) {
    // A graph may end with calls that it never ran: its provider would refuse the thread from then on.
    if (!isQuestion && findOpenCalls(seen).length > 0) await this.#repair.answerOpen(configure(threadId), messages)
    if (!isQuestion) this.#atRest.add(threadId, epoch)
    await this.#options.threads.prune(threadId, { isResting: !isQuestion })
  }

  /** After a run that failed: makes the thread fit for the next message, then throws why the run failed. */
  async #keepFit ({ threadId, signal }: RunRequest, error: unknown, repair: (isCutOff: boolean) => Promise<unknown>): Promise<never> {
    // What is to be repaired is another replica's by now, which does so before its turn.
    throwLostLease(error, signal.reason)
    let failure: unknown
    await repair(signal.aborted || isStorageError(error)).catch((cause: unknown) => { failure = cause })
    if (failure !== undefined) {
      throwLostLease(failure)
      this.#options.log.error({ err: failure, thread_id: threadId }, 'A thread could not be made fit after a failed run; the next message tries again')
    }
    if (signal.aborted) throw signal.reason
    // A disk that fails the repair, if not the run, is the cause to look at; `pending` finishes the repair before the next turn.
    return rethrowAsServiceError(isStorageError(failure) && !isStorageError(error) ? failure : error)
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
