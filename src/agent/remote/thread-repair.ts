import { ToolMessage, type BaseMessage } from '@langchain/core/messages'
import type { JsonObject } from '../../sessions/session.ts'
import { answerOpenCalls, findOpenCalls, findResult, keepAnswered, hasCome, type Answer } from '../tool-results.ts'
import { RemoteFailure } from './failure.ts'
import type { LangGraphServer } from './server.ts'
import { readPending, type Checkpoint, type ThreadState } from './thread-state.ts'
import { formatToolMessage } from './wire-messages.ts'

/** LangGraph's names for where a change comes from: a message, the end, another state. */
const START = '__start__'
const END = '__end__'
const COPY = '__copy__'

/** LangGraph's name for all messages of a thread, where they are taken out. */
const ALL = '__remove_all__'

/** States to look through for a question; one turn writes a handful, and each comes with all of its messages. */
const MAX_LOOK_BACK = 20

/** What failed. */
export interface Failure {
  /** The person's message, if the run was about one. */
  readonly humanId?: string | undefined
  /** The answer to a question, if the run was about one. */
  readonly answer?: Answer | undefined
  /** Whether the run was ended from outside, so that nobody knows how far it got; else a step of it failed, and the yes is used up. */
  readonly isCutOff: boolean
  /** The state that asked, if the run was about a question. */
  readonly question?: Checkpoint | undefined
}

/**
 * Makes a thread on a LangGraph server fit for the next message after a run that failed half-way; nothing may run on it.
 *
 * *Promise.* The person's message is gone; every tool call left in the thread has its result; the results of tools that ran are kept; nothing is
 * pending, unless a yes was cut off before anything came of it: then its question is asked again.
 *
 * *Not promised.* That it is done in one step: `mendThread` finishes what a crash in between leaves, but for the person's message.
 */
export async function repairThread (server: LangGraphServer, threadId: string, { humanId, answer, isCutOff, question }: Failure): Promise<void> {
  const before = await server.readState(threadId)
  if (before?.checkpoint === undefined) return
  const mayAskAgain = question !== undefined && isCutOff && answer !== undefined && answer.approved.length > 0
  if (mayAskAgain && before.interrupts.length > 0) return await askAgain(server, threadId, question)
  const after = await settle(server, threadId)
  if (mayAskAgain && !hasCome(after.messages, answer)) return await askAgain(server, threadId, question)
  const rest = after.messages.filter(message => humanId === undefined || message.id !== humanId)
  await write(server, threadId, after, answer === undefined ? keepAnswered(rest) : answerOpenCalls(rest))
}

/** Finishes what a crash left: a question that was answered and came to nothing is asked again, everything else is repaired. */
export async function mendThread (server: LangGraphServer, threadId: string, state: ThreadState): Promise<void> {
  const open = findOpenCalls(state.messages).flatMap(call => call.id ?? [])
  const asked = state.interrupts.length > 0 ? state : open.length === 0 ? undefined : await findQuestion(server, threadId, state.messages, open)
  if (asked?.checkpoint !== undefined) return await askAgain(server, threadId, asked.checkpoint)
  const last = state.messages.at(-1)
  await repairThread(server, threadId, { humanId: last?.type === 'human' ? last.id : undefined, isCutOff: true })
}

/** Whether the next message finds what it needs: a question that waits, or a thread in which everything is answered. */
export function isFit (state: ThreadState): boolean {
  if (state.checkpoint === undefined) return true
  // A step that threw an answer out would throw out every later one.
  if (state.interrupts.length > 0) return !state.isPoisoned
  return state.next.length === 0 && findOpenCalls(state.messages).length === 0
}

/** Ends what a thread waits with, or what a run left open: the calls without a result get `reason` as theirs. */
export async function endOpenCalls (server: LangGraphServer, threadId: string, reason?: string): Promise<void> {
  const state = await settle(server, threadId)
  await write(server, threadId, state, answerOpenCalls(state.messages, reason))
}

/** Takes in the results of the steps that finished, and drops the steps that did not. */
async function settle (server: LangGraphServer, threadId: string): Promise<ThreadState> {
  await server.updateState(threadId, { values: null, asNode: END })
  const state = await server.readState(threadId)
  if (state === undefined) throw new RemoteFailure('unreadable', 'The thread is gone')
  return state
}

/** A copy of the state that asked runs up to its interrupt anew: the old one may hold the answer that was cut off, and would obey it. */
async function askAgain (server: LangGraphServer, threadId: string, checkpoint: Checkpoint): Promise<void> {
  await server.updateState(threadId, { values: null, asNode: COPY, checkpoint })
  for await (const { event } of server.run(threadId, { input: null })) {
    if (event === 'error') throw new RemoteFailure('run', 'The question could not be asked again: the run failed')
  }
}

async function write (server: LangGraphServer, threadId: string, state: ThreadState, wanted: readonly BaseMessage[]): Promise<void> {
  const changes = listChanges(state, wanted)
  if (changes.length === 0) return
  await server.updateState(threadId, { values: { messages: changes }, asNode: START })
  await server.updateState(threadId, { values: null, asNode: END })
}

/** What turns the thread's messages into those that are wanted; a server puts new ones at the end, so what is to stand elsewhere brings all along. */
function listChanges ({ remote }: ThreadState, wanted: readonly BaseMessage[]): JsonObject[] {
  const wires = new Map(remote.map(({ message, wire }) => [message, wire]))
  const format = (message: BaseMessage): JsonObject => wires.get(message) ?? (ToolMessage.isInstance(message) ? formatToolMessage(message) : {})
  const firstNew = wanted.findIndex(message => !wires.has(message))
  const isAppended = firstNew < 0 || wanted.slice(firstNew).every(message => !wires.has(message))
  if (!isAppended) return [describeRemoval(ALL), ...wanted.map(format)]
  const gone = remote.filter(({ message }) => !wanted.includes(message)).map(({ message }) => describeRemoval(message.id))
  return [...gone, ...(firstNew < 0 ? [] : wanted.slice(firstNew).map(format))]
}

function describeRemoval (id: string | undefined): JsonObject {
  return { type: 'remove', id, content: '' }
}

/** The newest state that asks about these calls, unless one of the calls that it asks about has a result. */
async function findQuestion (
  server: LangGraphServer, threadId: string, messages: readonly BaseMessage[], open: readonly string[]
): Promise<ThreadState | undefined> {
  for (const earlier of await server.listStates(threadId, MAX_LOOK_BACK)) {
    const actions = readPending(earlier)?.actions ?? []
    if (!actions.some(action => open.includes(action.toolCallId))) continue
    return actions.some(action => findResult(messages, action.toolCallId) !== undefined) ? undefined : earlier
  }
  return undefined
}
