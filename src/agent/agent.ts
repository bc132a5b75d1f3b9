import { Type, type Static } from '@sinclair/typebox'
import type { JsonObject } from '../sessions/session.ts'

/** What a person may decide about an action. */
export const DecisionType = Type.Union([Type.Literal('approve'), Type.Literal('edit'), Type.Literal('reject'), Type.Literal('respond')])
export type DecisionType = Static<typeof DecisionType>

/** The forms in which graphs ask; see `dialects.ts`. */
export type Dialect = 'langchain' | 'langchain_python' | 'agent_inbox' | 'text' | 'approval_request' | 'value'

/** One thing that the agent asks about: mostly a tool call. */
export interface Action {
  /** Where no tool is asked about: the step of the graph that asks. */
  readonly toolName: string
  /** Empty where no tool call is asked about. */
  readonly toolCallId: string
  readonly args: JsonObject
  readonly description: string
  readonly allowedDecisions: readonly DecisionType[]
  /** The form of the interrupt that asks it. */
  readonly dialect: Dialect
  /** Which of the question's interrupts asks it, from 0: they are answered one by one. */
  readonly interrupt: number
  /** Asked by a graph within the graph: its messages cannot be reached from outside. */
  readonly isNested?: true
  /** JSON schema of the arguments, where the question brings one. */
  readonly argsSchema?: JsonObject
}

/** What the agent asks before acting; one question may cover several actions. */
export interface Question {
  /** Names this very question, down to its tools and arguments; the same until it is answered, also after a restart. */
  readonly fingerprint: string
  readonly actions: readonly Action[]
  /** What the agent said before it asked; may be empty. */
  readonly text: string
}

/** A person's decision about one action. */
export type Decision =
  | { readonly type: 'approve' }
  | { readonly type: 'edit', readonly args: JsonObject }
  | { readonly type: 'reject', readonly message?: string }
  | { readonly type: 'respond', readonly message: string }
  /** The graph's own value, for an interrupt in a form that has no decisions. */
  | { readonly type: 'resume', readonly value: unknown }

/** Tokens as the provider counted them, summed over the turn. */
export interface Usage {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly total_tokens: number
}

/** What happens in a turn, in order; the last one is an `answer` or a `question`. */
export type AgentEvent =
  /** A piece of the answer as it is written. Those after the last `tool_result`, joined, are the text of the `answer`. Only where asked for. */
  | { readonly type: 'token', readonly text: string }
  | { readonly type: 'tool_call', readonly id: string, readonly name: string, readonly args: JsonObject }
  | { readonly type: 'tool_result', readonly id: string, readonly name: string, readonly content: string }
  /** The text may be blank. */
  | { readonly type: 'answer', readonly text: string, readonly model?: string, readonly usage?: Usage }
  | { readonly type: 'question', readonly question: Question, readonly model?: string, readonly usage?: Usage }

/** On whose behalf a run is. */
export interface Person {
  readonly platform: string
  /** Normalised; unique on its platform. */
  readonly userId: string
  readonly name?: string
}

/** What every run needs. */
export interface RunRequest {
  readonly threadId: string
  readonly person: Person
  /** Ends the run; its reason is what the run then throws. */
  readonly signal: AbortSignal
  /** Whether somebody reads `token` events; they cost a little. */
  readonly wantsTokens?: boolean
}

/** One message to the agent. */
export interface TurnRequest extends RunRequest {
  readonly text: string
  /** The id of the message in the thread, a UUID, so that `findReply` can tell whether it was answered; a new one if not given. */
  readonly messageId?: string
  /** Whether a message in the thread, with this id, is this very one, taken by a process that is gone: what its run came to is the turn. */
  readonly isRepeatOf?: (messageId: string) => boolean
}

/** The answer to a question. */
export interface ResumeRequest extends RunRequest {
  readonly question: Question
  /** One for each action, in order. */
  readonly decisions: readonly Decision[]
}

/** The end of a question that nobody answers. */
export interface DismissRequest extends RunRequest {
  readonly question: Question
  /** Given to the agent. */
  readonly reason: string
}

/** A message of a conversation, as a person may see it. */
export interface Message {
  readonly id: string
  readonly role: 'user' | 'assistant' | 'tool'
  readonly content: string
  readonly toolCalls: readonly { readonly id: string, readonly name: string, readonly args: JsonObject }[]
  /** Of a tool's message: which call it answers. */
  readonly toolCallId?: string
}

/** What the agent is, for the log and for `/health`. */
export interface AgentDescription {
  readonly kind: 'built-in' | 'graph' | 'remote'
  /** Which graph: `./my-agent.ts:graph`, its name in `langgraph.json`, the assistant of a remote server. */
  readonly name?: string
  /** Of the built-in agent; `offline` when none is configured. */
  readonly model?: string
}

/** Whether conversations can be saved. */
export interface AgentStatus {
  readonly canSave: boolean
  /** Why not, in words for an operator; no path, no content. */
  readonly reason?: string
}

/** A thread and when something was last written to it. */
export interface ThreadActivity {
  readonly threadId: string
  /** Milliseconds since the epoch. */
  readonly lastWriteMs: number
}

/**
 * The contract that every agent keeps. It knows threads, never sessions.
 *
 * *Promise.* A turn is durable when its last event arrives. A run that fails, or that its signal ends, throws AGENT_FAILED,
 * CONVERSATIONS_UNAVAILABLE or the signal's reason, and leaves the thread fit for the next message: the person's message is not in it, the result of
 * a tool that ran is.
 *
 * A thread that cannot be read throws CONVERSATION_UNREADABLE, and can be forgotten. What reads a thread takes a signal, and
 * throws its reason where it had to wait when the signal ended.
 *
 * *Not promised.* Order: callers run one turn of a thread at a time, and ask for `pending` before they run one. That a turn which
 * ended with CONVERSATIONS_UNAVAILABLE left no trace: where the disk failed in the last sync, the turn may turn out to be in the thread, whole.
 */
export interface Agent {
  readonly description: AgentDescription
  /** While it cannot save, every call that touches a thread throws CONVERSATIONS_UNAVAILABLE. It recovers by itself. */
  status (): AgentStatus
  /**
   * Why turns would fail now although everything can be saved: the agent is elsewhere, and could not be reached when it was last looked. In words for
   * an operator, without an address. Answers at once.
   */
  unreachable (): string | undefined
  /** Runs one message through the thread. */
  turn (request: TurnRequest): AsyncIterable<AgentEvent>
  /** Answers the thread's pending question; the decisions must have passed `checkDecisions`. */
  resume (request: ResumeRequest): AsyncIterable<AgentEvent>
  /**
   * Ends the thread's pending question without an answer; nothing is pending then. The calls that it asks about get the reason as their result, and
   * nothing is run. A graph that asked for a yes or a no about something else is told no; one that asked in a text is told nothing, since there a no
   * may be an answer.
   */
  dismiss (request: DismissRequest): Promise<void>
  /**
   * The question that the thread waits with, if it does: the truth about it, whatever a session row says. A thread that a crash in the middle of
   * a repair left half-way is mended first.
   */
  pending (threadId: string, signal?: AbortSignal): Promise<Question | undefined>
  /**
   * What the turn of a message came to: its answer, or the question that the thread waits with since. Undefined if the message is not in the thread,
   * or its turn did not end. A turn that went on after a question counts as one.
   */
  findReply (threadId: string, messageId: string, signal?: AbortSignal): Promise<AgentEvent | undefined>
  /** Whether each of these tool calls has a result: false if one was cut off, so that it may or may not have happened. */
  haveResults (threadId: string, toolCallIds: readonly string[], signal?: AbortSignal): Promise<boolean>
  /** Throws DECISION_REFUSED unless these decisions fit this question: count, kinds, and arguments that the tool takes. Changes nothing. */
  checkDecisions (question: Question, decisions: readonly Decision[]): void
  /** Reads a graph's own resume value as decisions; throws DECISION_REFUSED if the graph would refuse it. */
  parseResume (question: Question, resume: unknown): Decision[]
  /** All messages of a thread, oldest first, system messages left out; an unknown thread has none. */
  history (threadId: string, signal?: AbortSignal): Promise<Message[]>
  /** Removes a thread and all that was said in it; an unknown thread is no error. */
  forget (threadId: string): Promise<void>
  /** Threads in the order of their ids, after `afterThreadId`, at most `limit`. */
  listThreads (afterThreadId: string, limit: number): Promise<ThreadActivity[]>
}
