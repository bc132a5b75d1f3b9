import { randomUUID } from 'node:crypto'
import { HumanMessage, type BaseMessage } from '@langchain/core/messages'
import { ServiceError } from '../errors.ts'
import type {
  Agent, AgentDescription, AgentEvent, AgentStatus, Decision, DismissRequest, Message, Question, ResumeRequest, RunRequest, ThreadActivity,
  TurnRequest
} from './agent.ts'
import type { Log } from '../log.ts'
import { canBeToldNo, checkDecisions, listApproved, parseResume, type CheckedTool } from './approvals.ts'
import { rethrowAsServiceError } from './disk-error.ts'
import type { Graph, RunLimits, ThreadKeeper } from './graph.ts'
import { GraphRuns, type WatchRun } from './graph-runs.ts'
import type { Narration } from './narration.ts'
import { composeResume } from './resume-input.ts'
import type { DescribeRun } from './run-context.ts'
import { ThreadCare } from './thread-care.ts'
import { ThreadReader } from './thread-reader.ts'
import { findOpenCalls, type Answer } from './tool-results.ts'

/** What a graph needs to be an agent; see `GraphRunsOptions`. */
export interface LangGraphAgentOptions {
  readonly description: AgentDescription
  readonly graph: Graph
  readonly tools: readonly CheckedTool[]
  readonly threads: ThreadKeeper
  readonly log: Log
  readonly limits?: RunLimits
  readonly describeRun: DescribeRun
  readonly speaksAtOnce?: boolean
  readonly newId?: () => string
  readonly watchRun?: WatchRun
}

/** A compiled graph as an `Agent`. */
export class LangGraphAgent implements Agent {
  readonly description: AgentDescription
  readonly #options: Required<LangGraphAgentOptions>
  readonly #reader: ThreadReader
  readonly #runs: GraphRuns
  readonly #care: ThreadCare

  constructor (options: LangGraphAgentOptions) {
    this.description = options.description
    this.#options = { limits: { maxToolCalls: 25, maxSteps: 100 }, speaksAtOnce: true, newId: randomUUID, watchRun: () => [], ...options }
    this.#reader = new ThreadReader(options.graph)
    this.#runs = new GraphRuns(this.#options)
    this.#care = new ThreadCare({ ...options, runs: this.#runs })
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
      await this.#care.keepFit(error, { request, failure: { humanId: messageId } })
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
      await this.#care.keepFit(error, { request, failure: { answer }, waiting })
    }
  }

  async dismiss (request: DismissRequest): Promise<void> {
    const { question, reason, threadId } = request
    if (canBeToldNo(question)) {
      let last: AgentEvent | undefined
      for await (const event of this.resume({ ...request, decisions: question.actions.map(() => ({ type: 'reject', message: reason })) })) last = event
      if (last?.type !== 'question') return
    }
    await this.#care.endQuestion(threadId, reason)
  }

  async pending (threadId: string): Promise<Question | undefined> {
    return await this.#care.pending(threadId)
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
    await this.#care.forget(threadId)
  }

  async listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]> {
    return await this.#options.threads.listThreads(afterThreadId, limit).catch(rethrowAsServiceError)
  }

  async * #run (input: unknown, request: RunRequest, approved: string[], before?: readonly BaseMessage[]): AsyncGenerator<AgentEvent> {
    const { threadId, signal } = request
    signal.throwIfAborted()
    const epoch = this.#care.beginRun(threadId)
    const end = yield * this.#runs.run(input, request, approved, before)
    await this.#care.endRun(threadId, end, epoch)
    if (end.isQuestion) yield await this.#describeQuestion(threadId, end.narration)
    else yield * end.narration?.end(end.messages) ?? []
  }

  async #describeQuestion (threadId: string, narration: Narration | undefined): Promise<AgentEvent> {
    const question = await this.pending(threadId)
    if (question === undefined) throw new Error('The graph was interrupted, but nothing waits for an answer')
    return { type: 'question', question, ...narration?.facts }
  }
}
