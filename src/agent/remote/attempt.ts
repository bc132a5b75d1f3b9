import type { BaseMessage } from '@langchain/core/messages'
import { ServiceError } from '../../errors.ts'
import { isJsonObject } from '../../sessions/session.ts'
import type { AgentEvent, Person, ResumeRequest, RunRequest, TurnRequest } from '../agent.ts'
import { listApproved } from '../approvals.ts'
import { isAiMessage } from '../messages.ts'
import { Narration, type Speakers } from '../narration.ts'
import { RemoteFailure } from './failure.ts'
import { waitForRuns } from './left-over.ts'
import { formatCommand } from './mixed-decisions.ts'
import type { LangGraphServer, RunPart, RunStart } from './server.ts'
import type { Failure } from './thread-repair.ts'
import { readPending, type ThreadState } from './thread-state.ts'
import { readPiece, readRemoteMessages } from './wire-messages.ts'

/** How long a run may take to end after its report has. */
const END_MS = 1000

/** One attempt at a run: what begins it, and what is mended if it comes to nothing. */
export interface Attempt {
  readonly start: RunStart
  readonly story: Story
  readonly failure: Omit<Failure, 'isCutOff'>
  /** Whether a message of the thread is the one that the run is about, under whatever id. */
  readonly isOwn: (messageId: string) => boolean
}

/** Those of `createAgent` in JavaScript and in Python, and of what came before it. */
export function listSpeakers (): Speakers {
  return new Map(['model_request', 'model', 'agent'].map(name => [name, 0]))
}

/** The run of a message with this id. */
export function prepareTurn (request: TurnRequest, id: string, speakers: Speakers): Attempt {
  return {
    start: { input: { messages: [{ type: 'human', id, content: request.text }] }, context: describeContext(request.person) },
    story: new Story(request, speakers, { humanId: id }),
    failure: { humanId: id },
    isOwn: other => other === id || request.isRepeatOf?.(other) === true
  }
}

/** The run of an answer. Throws APPROVAL_NOT_PENDING unless the thread waits with the question. */
export function prepareResume (request: ResumeRequest, state: ThreadState | undefined, speakers: Speakers): Attempt {
  const { question, decisions, person } = request
  if (state === undefined || readPending(state)?.fingerprint !== question.fingerprint) throw new ServiceError('APPROVAL_NOT_PENDING')
  const { messages, remote, interrupts, checkpoint } = state
  const asked = remote.findLast(({ message }) => isAiMessage(message))
  return {
    start: { command: formatCommand(question, decisions, { interrupts, asked }), context: describeContext(person) },
    story: new Story(request, speakers, { before: messages }),
    failure: { answer: { approved: listApproved(question, decisions), messageCount: messages.length }, question: checkpoint },
    isOwn: () => false
  }
}

/** The thread after a run. A report that ends is no sign that the run has ended: a proxy may have closed it. */
export async function readEnd (server: LangGraphServer, threadId: string, { story, failure }: Attempt): Promise<ThreadState> {
  const state = await server.readState(threadId)
  const cutOff = new RemoteFailure('connection', 'The report of the run was cut off')
  if (state === undefined || !story.hasArrived(state.messages)) throw cutOff
  const isAsking = state.interrupts.length > 0 && state.checkpoint?.checkpoint_id !== failure.question?.checkpoint_id
  if (state.next.length === 0 || isAsking) return state
  if ((await waitForRuns(server, threadId, END_MS)).length > 0) throw cutOff
  return await server.readState(threadId) ?? state
}

/** A run as it is told; see `Narration`. */
export class Story {
  readonly wantsTokens: boolean
  readonly #speakers: Speakers
  readonly #humanId: string | undefined
  #narration: Narration | undefined
  #hasBegun = false
  #hasArrived = false

  /** `before`: what was in the thread. Where that is not known, the run's own message `humanId` tells it: what comes behind it is new. */
  constructor ({ wantsTokens = false }: RunRequest, speakers: Speakers, { before, humanId }: { before?: readonly BaseMessage[], humanId?: string }) {
    this.wantsTokens = wantsTokens
    this.#speakers = speakers
    this.#humanId = humanId
    if (before !== undefined) this.#narration = new Narration({ before, wantsTokens, speakers })
  }

  /** Whether the server reported anything of the run. */
  get hasBegun (): boolean {
    return this.#hasBegun
  }

  /** Whether the run got to the thread, which ends with these messages: else its report was cut off, however cleanly it ended. */
  hasArrived (messages: readonly BaseMessage[]): boolean {
    return this.#hasArrived || messages.some(message => this.#humanId !== undefined && message.id === this.#humanId)
  }

  /** The tokens of what the agent said, and its model. */
  get facts (): Partial<Narration['facts']> {
    return this.#narration?.facts ?? {}
  }

  /** What a piece of the run's report tells. */
  * read ({ event, data }: RunPart): Generator<AgentEvent> {
    this.#hasBegun = true
    const piece = event === 'messages' ? readPiece(data) : undefined
    if (piece !== undefined) yield * this.#narration?.hear(piece.chunk, piece.node, piece.model) ?? []
    // An interrupt comes as a state without anything else.
    const messages = event === 'values' && isJsonObject(data) ? readRemoteMessages(data) : undefined
    this.#hasArrived ||= event === 'values' && (this.#humanId === undefined || messages?.some(({ message }) => message.id === this.#humanId) === true)
    if (messages !== undefined) yield * this.see(messages.map(({ message }) => message))
  }

  /** What is new among the thread's messages. */
  * see (messages: readonly BaseMessage[]): Generator<AgentEvent> {
    yield * this.#begin(messages).see(messages)
  }

  /** The end of a run that asks nothing. */
  * end (messages: readonly BaseMessage[]): Generator<AgentEvent> {
    yield * this.see(messages)
    yield * this.#begin(messages).end(messages)
  }

  #begin (messages: readonly BaseMessage[]): Narration {
    if (this.#narration !== undefined) return this.#narration
    const { wantsTokens } = this
    const own = messages.findIndex(message => message.id === this.#humanId)
    const before = own < 0 ? messages : messages.slice(0, own + 1)
    this.#narration = new Narration({ before, wantsTokens, speakers: this.#speakers })
    return this.#narration
  }
}

/** What a graph is told beyond the conversation, by the names of the wire. */
function describeContext ({ platform, userId, name }: Person): Record<string, unknown> {
  return { platform, user_id: userId, ...(name !== undefined && { user_name: name }) }
}
