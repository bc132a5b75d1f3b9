import { randomUUID } from 'node:crypto'
import type {
  Agent, AgentDescription, AgentEvent, AgentStatus, Decision, DismissRequest, Message, Question, ResumeRequest, RunRequest, ThreadActivity,
  TurnRequest
} from '../agent.ts'
import { canBeToldNo, checkDecisions, parseResume } from '../approvals.ts'
import { formatMessage } from '../messages.ts'
import { findOpenCalls, haveResults } from '../tool-results.ts'
import { listSpeakers, prepareResume, prepareTurn, readEnd, type Attempt } from './attempt.ts'
import { isNoAnswer, readRunFailure, RemoteFailure, rethrowAsServiceError, rethrowUnless } from './failure.ts'
import { KnownThreads } from './known-threads.ts'
import { Reachability } from './reachability.ts'
import { isStatus, type LangGraphServer } from './server.ts'
import { describeOutcome, findOutcome, ThreadCare } from './thread-care.ts'
import { deriveThreadId } from './thread-id.ts'
import { endOpenCalls, isFit } from './thread-repair.ts'
import { readPending, type ThreadState } from './thread-state.ts'

/** What the agent of a LangGraph server may be told. */
export interface RemoteAgentOptions {
  /** Steps that a graph may take in one turn; the server's own number if not given. */
  readonly maxSteps?: number | undefined
  /** How long a run that a crash of this service left may still take to end by itself, before it is cancelled. */
  readonly leftOverMs?: number
  readonly newId?: () => string
  /** Why the server could not be reached at the start. */
  readonly unreachable?: string
  readonly now?: () => number
}

/** An agent on a LangGraph server, which keeps its conversations; other programs may have threads there, which are none of ours. */
export class RemoteAgent implements Agent {
  readonly description: AgentDescription
  readonly #server: LangGraphServer
  readonly #options: Required<Omit<RemoteAgentOptions, 'leftOverMs' | 'unreachable' | 'now'>>
  readonly #care: ThreadCare
  readonly #known = new KnownThreads()
  readonly #speakers = listSpeakers()
  readonly #reachability: Reachability

  constructor (server: LangGraphServer, { maxSteps, leftOverMs = 10_000, newId = randomUUID, unreachable, now = Date.now }: RemoteAgentOptions = {}) {
    this.description = { kind: 'remote', name: server.assistantId }
    this.#server = server
    this.#options = { maxSteps, newId }
    this.#care = new ThreadCare(server, leftOverMs)
    this.#reachability = new Reachability(signal => server.within(signal).ping(), { log: server.log, known: unreachable, now })
  }

  /** The conversations are the server's: whether it is there shows in the turn. */
  status (): AgentStatus {
    return { canSave: true }
  }

  unreachable (): string | undefined {
    return this.#reachability.look()
  }

  async * turn (request: TurnRequest): AsyncGenerator<AgentEvent> {
    const id = request.messageId ?? this.#options.newId()
    yield * this.#act(request, async () => prepareTurn(request, id, this.#speakers))
  }

  async * resume (request: ResumeRequest): AsyncGenerator<AgentEvent> {
    yield * this.#act(request, async (server, threadId) => prepareResume(request, await server.readState(threadId), this.#speakers))
  }

  async dismiss (request: DismissRequest): Promise<void> {
    const { question, reason, threadId, signal } = request
    if (canBeToldNo(question)) {
      const events = this.resume({ ...request, decisions: question.actions.map((): Decision => ({ type: 'reject', message: reason })) })
      let last: AgentEvent | undefined
      for await (const event of events) last = event
      // Whoever asks again is not answered again.
      if (last?.type !== 'question') return
    }
    signal.throwIfAborted()
    await this.#care.endQuestion(deriveThreadId(threadId), reason, signal).catch(rethrowUnless(signal))
  }

  async pending (threadId: string, signal?: AbortSignal): Promise<Question | undefined> {
    const remoteId = deriveThreadId(threadId)
    let state = await this.#read(threadId, signal)
    if (state === undefined && this.#known.delete(remoteId)) {
      this.#server.log.warn({ thread_id: threadId }, 'The LangGraph server no longer has a conversation; it begins anew')
    }
    if (state !== undefined && !isFit(state)) {
      await this.#care.settle(remoteId, signal).catch(rethrowUnless(signal))
      state = await this.#read(threadId, signal)
    }
    return state === undefined ? undefined : readPending(state)
  }

  async findReply (threadId: string, messageId: string, signal?: AbortSignal): Promise<AgentEvent | undefined> {
    const state = await this.#read(threadId, signal)
    return state === undefined ? undefined : describeOutcome(state, messageId)
  }

  async haveResults (threadId: string, toolCallIds: readonly string[], signal?: AbortSignal): Promise<boolean> {
    const state = await this.#read(threadId, signal)
    // What is no tool call took effect if the run came to its end by itself, and was not repaired.
    if (toolCallIds.includes('') && (state?.isOfRun !== true || state.next.length > 0)) return false
    return haveResults(state?.messages ?? [], toolCallIds.filter(id => id !== ''))
  }

  /** The arguments of a tool are known only as far as the question itself describes them. */
  checkDecisions (question: Question, decisions: readonly Decision[]): void {
    checkDecisions(question, decisions, [])
  }

  parseResume (question: Question, resume: unknown): Decision[] {
    return parseResume(question, resume)
  }

  async history (threadId: string, signal?: AbortSignal): Promise<Message[]> {
    return ((await this.#read(threadId, signal))?.messages ?? []).flatMap(message => formatMessage(message) ?? [])
  }

  async forget (threadId: string): Promise<void> {
    const remoteId = deriveThreadId(threadId)
    this.#known.delete(remoteId)
    await this.#care.ready(remoteId)
    await this.#server.deleteThread(remoteId).catch(rethrowAsServiceError)
  }

  /** None: what else the server keeps may belong to others, and what is ours cannot be told from it. */
  async listThreads (): Promise<ThreadActivity[]> {
    return []
  }

  async * #act (
    request: RunRequest, prepare: (server: LangGraphServer, threadId: string) => Promise<Attempt>
  ): AsyncGenerator<AgentEvent> {
    const { signal } = request
    const threadId = deriveThreadId(request.threadId)
    const server = this.#server.within(signal)
    for (let isFirst = true; ; isFirst = false) {
      signal.throwIfAborted()
      const attempt = await prepare(server, threadId).catch(rethrowUnless(signal))
      try {
        return yield * this.#run(server, threadId, attempt)
      } catch (error) {
        // Another run is under way, by no doing of this process: a crash left it. It may be that of this very message.
        const isRefused = !attempt.story.hasBegun && isStatus(error, 409, 422)
        if (isRefused && isFirst) {
          await this.#care.settle(threadId, signal).catch(rethrowUnless(signal))
          const reply = await findOutcome(server, threadId, attempt.isOwn).catch(rethrowUnless(signal))
          if (reply === undefined) continue
          return yield reply
        }
        // What was refused left nothing behind: all that the thread holds is another's.
        const isCutOff = signal.aborted || !(error instanceof RemoteFailure && error.kind === 'run')
        const isUnheard = !attempt.story.hasBegun && isNoAnswer(error)
        if (!isRefused) await this.#care.keepFit(threadId, { ...attempt.failure, isCutOff, isUnheard }, signal)
        signal.throwIfAborted()
        rethrowAsServiceError(error)
      }
    }
  }

  async * #run (server: LangGraphServer, threadId: string, attempt: Attempt): AsyncGenerator<AgentEvent> {
    const { start, story } = attempt
    let failure: RemoteFailure | undefined
    for await (const part of server.run(threadId, { ...start, wantsTokens: story.wantsTokens, maxSteps: this.#options.maxSteps })) {
      this.#known.add(threadId)
      // To its end: only then can the thread be repaired.
      if (part.event === 'error') failure = readRunFailure(part.data)
      yield * story.read(part)
    }
    if (failure !== undefined) throw failure
    const state = await readEnd(server, threadId, attempt)
    const question = readPending(state)
    if (question !== undefined) return yield { type: 'question', question, ...story.facts }
    if (state.next.length > 0) throw new RemoteFailure('run', `The run ended before the graph did, which is to go on with ${state.next.join(', ')}`)
    // A graph may end with calls that it never ran: its provider would refuse the thread from then on.
    if (findOpenCalls(state.messages).length > 0) await endOpenCalls(server, threadId)
    yield * story.end(state.messages)
  }

  async #read (threadId: string, signal?: AbortSignal): Promise<ThreadState | undefined> {
    const remoteId = deriveThreadId(threadId)
    await this.#care.ready(remoteId, signal)
    const server = signal === undefined ? this.#server : this.#server.within(signal)
    return await server.readState(remoteId).catch(rethrowUnless(signal))
  }
}
