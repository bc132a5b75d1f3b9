import type { Span, Tracer } from '@opentelemetry/api'
import { withSpan, withSpanOver, type SpanDescription } from '../trace.ts'
import type {
  Agent, AgentDescription, AgentEvent, AgentStatus, Decision, DismissRequest, Message, Question, ResumeRequest, ThreadActivity, TurnRequest
} from './agent.ts'

/** An agent whose runs are traced, and what else it does with a thread. */
export class TracedAgent implements Agent {
  readonly #agent: Agent
  readonly #tracer: Tracer

  constructor (agent: Agent, tracer: Tracer) {
    this.#agent = agent
    this.#tracer = tracer
  }

  get description (): AgentDescription {
    return this.#agent.description
  }

  status (): AgentStatus {
    return this.#agent.status()
  }

  unreachable (): string | undefined {
    return this.#agent.unreachable()
  }

  turn (request: TurnRequest): AsyncIterable<AgentEvent> {
    return withSpanOver(this.#tracer, this.#describe('agent turn', request.threadId), { open: () => this.#agent.turn(request), see: seeEvent })
  }

  resume (request: ResumeRequest): AsyncIterable<AgentEvent> {
    return withSpanOver(this.#tracer, this.#describe('agent resume', request.threadId), { open: () => this.#agent.resume(request), see: seeEvent })
  }

  dismiss (request: DismissRequest): Promise<void> {
    return this.#trace('agent dismiss', request.threadId, () => this.#agent.dismiss(request))
  }

  pending (threadId: string, signal?: AbortSignal): Promise<Question | undefined> {
    return this.#trace('agent pending', threadId, () => this.#agent.pending(threadId, signal))
  }

  findReply (threadId: string, messageId: string, signal?: AbortSignal): Promise<AgentEvent | undefined> {
    return this.#trace('agent find_reply', threadId, () => this.#agent.findReply(threadId, messageId, signal))
  }

  haveResults (threadId: string, toolCallIds: readonly string[], signal?: AbortSignal): Promise<boolean> {
    return this.#trace('agent have_results', threadId, () => this.#agent.haveResults(threadId, toolCallIds, signal))
  }

  checkDecisions (question: Question, decisions: readonly Decision[]): void {
    this.#agent.checkDecisions(question, decisions)
  }

  parseResume (question: Question, resume: unknown): Decision[] {
    return this.#agent.parseResume(question, resume)
  }

  history (threadId: string, signal?: AbortSignal): Promise<Message[]> {
    return this.#trace('agent history', threadId, () => this.#agent.history(threadId, signal))
  }

  forget (threadId: string): Promise<void> {
    return this.#trace('agent forget', threadId, () => this.#agent.forget(threadId))
  }

  listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]> {
    return this.#agent.listThreads(afterThreadId, limit)
  }

  #trace<T> (name: string, threadId: string, run: () => Promise<T>): Promise<T> {
    return withSpan(this.#tracer, this.#describe(name, threadId), run)
  }

  #describe (name: string, threadId: string): SpanDescription {
    return { name, attributes: { 'gen_ai.conversation.id': threadId, agent: this.#agent.description.kind } }
  }
}

/** The last event is what the run came to. */
function seeEvent (span: Span, { type }: AgentEvent): void {
  if (type === 'answer' || type === 'question') span.setAttribute('outcome', type)
}
