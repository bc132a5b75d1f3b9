import { randomUUID } from 'node:crypto'
import { AIMessageChunk, HumanMessage, type AIMessage, type BaseMessage } from '@langchain/core/messages'
import { Command, isInterrupted, type StateSnapshot } from '@langchain/langgraph'
import { ServiceError } from '../errors.ts'
import type {
  Agent, AgentDescription, AgentEvent, AgentStatus, Decision, Message, Question, ResumeRequest, RunRequest, ThreadActivity, TurnRequest
} from './agent.ts'
import {
  checkDecisions, formatResume, NO_VERDICT, parseResume, splitDecisions, type CheckedTool, type Verdict
} from './approvals.ts'
import { isDiskError, refuseConversation } from './disk-error.ts'
import { describeAnswer, describeEvents } from './events.ts'
import { formatMessage, isAiMessage, readMessages, sumUsage } from './messages.ts'
import { RestingThreads } from './resting-threads.ts'
import type { RunContext } from './run-context.ts'
import { haveResults, mendThread, repairThread, rewindThread, type ThreadConfig } from './thread-repair.ts'
import { readWaiting, type Waiting } from './waiting.ts'

/** What of a compiled graph is used. */
export interface Graph {
  /** What `stream` is made of. `stream` itself ends the moment that its signal is aborted, while the run goes on to write its checkpoint. */
  _streamIterator (input: unknown, options: object): AsyncGenerator<unknown>
  invoke (input: unknown, options: object): Promise<unknown>
  getState (config: ThreadConfig): Promise<StateSnapshot>
  getStateHistory (config: ThreadConfig, options: { limit: number }): AsyncIterable<StateSnapshot>
  updateState (config: ThreadConfig, values: Record<string, unknown> | null, asNode: string): Promise<unknown>
}

/** Where a graph's threads are kept, beyond what LangGraph's checkpointers can do. */
export interface ThreadKeeper {
  deleteThread (threadId: string): Promise<void>
  listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]>
  /** Whether they can be kept; see `Agent.status`. */
  status (): AgentStatus
  /** Another one after every failure, in which they might have been exchanged under us. */
  readonly epoch: number
}

/** What a graph needs to be an agent. */
export interface LangGraphAgentOptions {
  readonly description: AgentDescription
  readonly graph: Graph
  readonly tools: readonly CheckedTool[]
  readonly threads: ThreadKeeper
  readonly newId?: () => string
}

/** A compiled graph as an `Agent`. */
export class LangGraphAgent implements Agent {
  readonly description: AgentDescription
  readonly #graph: Graph
  readonly #tools: readonly CheckedTool[]
  readonly #threads: ThreadKeeper
  readonly #newId: () => string
  readonly #atRest: RestingThreads

  constructor ({ description, graph, tools, threads, newId = randomUUID }: LangGraphAgentOptions) {
    this.description = description
    this.#graph = graph
    this.#tools = tools
    this.#threads = threads
    this.#newId = newId
    this.#atRest = new RestingThreads(() => threads.epoch)
  }

  status (): AgentStatus {
    return this.#threads.status()
  }

  async * turn (request: TurnRequest): AsyncGenerator<AgentEvent> {
    const message = new HumanMessage({ id: request.messageId ?? this.#newId(), content: request.text })
    try {
      yield * this.#run({ messages: [message] }, request, NO_VERDICT)
    } catch (error) {
      await this.#keepFit(request, error, config => repairThread(this.#graph, config, message.id))
    }
  }

  async * resume (request: ResumeRequest): AsyncGenerator<AgentEvent> {
    const { question, decisions, threadId } = request
    const waiting = await this.#readWaiting(threadId)
    if (waiting?.question.fingerprint !== question.fingerprint) throw new ServiceError('APPROVAL_NOT_PENDING')
    const values = formatResume(question, decisions)
    // By id: a bare value would answer every interrupt that is open at the same time.
    const command = new Command({ resume: Object.fromEntries(waiting.interrupts.map(({ id }, index) => [id, values[index]])) })
    const verdict = splitDecisions(question, decisions)
    try {
      yield * this.#run(command, request, verdict)
    } catch (error) {
      await this.#keepFit(request, error, async config => {
        const hasResult = await repairThread(this.#graph, config, undefined, verdict.approved)
        if (!hasResult) await rewindThread(this.#graph, waiting.config, NOBODY)
      })
    }
  }

  async pending (threadId: string): Promise<Question | undefined> {
    if (this.#atRest.has(threadId)) return undefined
    try {
      const config = { configurable: { thread_id: threadId } }
      const snapshot = await this.#graph.getState(config)
      const isMended = await mendThread(this.#graph, snapshot, config, NOBODY)
      return readWaiting(isMended ? await this.#graph.getState(config) : snapshot)?.question
    } catch (error) {
      return rethrowAsServiceError(error)
    }
  }

  async findReply (threadId: string, messageId: string): Promise<AgentEvent | undefined> {
    const snapshot = await this.#readState(threadId)
    const messages = readMessages(snapshot.values)
    const start = messages.findIndex(message => message.id === messageId) + 1
    if (start === 0) return undefined
    const end = messages.findIndex((message, index) => index >= start && message.type === 'human')
    const said = messages.slice(start, end < 0 ? undefined : end).filter(message => isAiMessage(message))
    if (end >= 0) return describeAnswer(said)
    const waiting = readWaiting(snapshot)
    if (waiting !== undefined) return { type: 'question', question: waiting.question, ...sumUsage(said) }
    return snapshot.next.length === 0 ? describeAnswer(said) : undefined
  }

  async haveResults (threadId: string, toolCallIds: readonly string[]): Promise<boolean> {
    return haveResults(readMessages((await this.#readState(threadId)).values), toolCallIds)
  }

  checkDecisions (question: Question, decisions: readonly Decision[]): void {
    checkDecisions(question, decisions, this.#tools)
  }

  parseResume (question: Question, resume: unknown): Decision[] {
    return parseResume(question, resume)
  }

  async history (threadId: string): Promise<Message[]> {
    const snapshot = await this.#readState(threadId)
    return readMessages(snapshot.values).flatMap(message => formatMessage(message) ?? [])
  }

  async forget (threadId: string): Promise<void> {
    this.#atRest.delete(threadId)
    await this.#threads.deleteThread(threadId).catch(rethrowAsServiceError)
  }

  async listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]> {
    return await this.#threads.listThreads(afterThreadId, limit).catch(rethrowAsServiceError)
  }

  async * #run (input: unknown, request: RunRequest, verdict: Verdict): AsyncGenerator<AgentEvent> {
    request.signal.throwIfAborted()
    const epoch = this.#atRest.delete(request.threadId)
    let before: number | undefined
    let seen = 0
    let messages: BaseMessage[] = []
    let isQuestion = false
    let written = ''
    const streamMode = request.wantsTokens === true ? ['values', 'messages'] : ['values']
    const parts = this.#graph._streamIterator(input, { ...this.#configure(request, verdict), signal: request.signal, streamMode })
    for await (const part of parts) {
      const [mode, state] = Array.isArray(part) ? part : []
      if (mode === 'messages') {
        const [chunk, { langgraph_checkpoint_ns: namespace = '' }] = state
        if (!AIMessageChunk.isInstance(chunk) || String(namespace).includes('|') || chunk.text === '' || chunk.text === written) continue
        written += chunk.text
        yield { type: 'token', text: chunk.text }
        continue
      }
      if (isInterrupted(state)) {
        isQuestion = true
        continue
      }
      messages = readMessages(state)
      before ??= messages.length
      for (const message of messages.slice(Math.max(before, seen))) yield * describeEvents(message)
      seen = messages.length
      if (messages.at(-1)?.type === 'tool') written = ''
    }
    const said = messages.slice(before).filter(message => isAiMessage(message))
    if (!isQuestion) this.#atRest.add(request.threadId, epoch)
    yield isQuestion ? await this.#describeQuestion(request.threadId, said) : describeAnswer(said)
  }

  async #describeQuestion (threadId: string, said: readonly AIMessage[]): Promise<AgentEvent> {
    const question = await this.pending(threadId)
    if (question === undefined) throw new Error('The graph interrupted with a value in no form that is known')
    return { type: 'question', question, ...sumUsage(said) }
  }

  #configure ({ threadId, person }: RunRequest, verdict: Verdict) {
    const context: RunContext = { platform: person.platform, userId: person.userId, userName: person.name, ...verdict }
    // One checkpoint a turn: enough to survive a crash between turns, a fraction of the writes.
    return { configurable: { thread_id: threadId }, context, durability: 'exit' }
  }

  async #readWaiting (threadId: string): Promise<Waiting & { config: ThreadConfig } | undefined> {
    const snapshot = await this.#readState(threadId)
    const found = readWaiting(snapshot)
    return found === undefined ? undefined : { ...found, config: snapshot.config }
  }

  async #readState (threadId: string): Promise<StateSnapshot> {
    return await this.#graph.getState({ configurable: { thread_id: threadId } }).catch(rethrowAsServiceError)
  }

  /** After a run that failed: makes the thread fit for the next message, then throws why the run failed. */
  async #keepFit ({ threadId, signal }: RunRequest, error: unknown, repair: (config: ThreadConfig) => Promise<unknown>): Promise<never> {
    let failure: unknown
    await repair({ configurable: { thread_id: threadId } }).catch((cause: unknown) => { failure = cause })
    if (signal.aborted) throw signal.reason
    // A disk that fails the repair, if not the run, is the cause to look at; `pending` finishes the repair before the next turn.
    return rethrowAsServiceError(isDiskError(failure) && !isDiskError(error) ? failure : error)
  }
}

/** For a run that only asks again: it reaches no tool. */
const NOBODY = { context: { platform: '', userId: '', ...NO_VERDICT }, durability: 'exit' }

/** SQLite's errors are the disk's; every other one is the agent's. */
function rethrowAsServiceError (error: unknown): never {
  if (error instanceof ServiceError) throw error
  throw isDiskError(error) ? refuseConversation(error) : new ServiceError('AGENT_FAILED', { cause: error })
}
