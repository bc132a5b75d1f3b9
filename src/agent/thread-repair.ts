import { RemoveMessage, ToolMessage, type BaseMessage } from '@langchain/core/messages'
import { END, START, type StateSnapshot } from '@langchain/langgraph'
import type { Graph } from './langgraph.ts'
import { isAiMessage, readMessages } from './messages.ts'
import { readWaiting } from './waiting.ts'

/** Which thread, and at which checkpoint, if not at the newest. */
export interface ThreadConfig {
  configurable?: Record<string, unknown>
}

/** LangGraph's name for a checkpoint that repeats another one. */
const COPY = '__copy__'

/** Marks a result that is none. */
const CUT_OFF = 'holdline_cut_off'

/** Checkpoints to look through for a question; one turn writes a handful. */
const MAX_LOOK_BACK = 50

/**
 * Makes a thread fit for the next message after a run that failed half-way.
 *
 * *Promise.* The message `humanId` is gone; every tool call left in the thread has its result; the results of tools that ran are kept; nothing is
 * pending. Resolves to whether the run got as far as a result of one of `toolCallIds` (true if there are none to ask about): if not, a question
 * about them is as good as unanswered, and its thread is to be rewound.
 *
 * *Not promised.* That it is done in one step: `mendThread` finishes what a crash in between leaves.
 */
export async function repairThread (
  graph: Graph,
  config: ThreadConfig,
  humanId: string | undefined,
  toolCallIds: readonly string[] = []
): Promise<boolean> {
  const snapshot = await graph.getState(config)
  if (snapshot.createdAt === undefined) return toolCallIds.length === 0
  if (isAsking(snapshot) && toolCallIds.length > 0) return false
  // Takes in the results of the tasks that finished, and drops the tasks that did not.
  await graph.updateState(config, null, END)
  const messages = readMessages((await graph.getState(config)).values)
  if (toolCallIds.length > 0 && !toolCallIds.some(id => findResult(messages, id) !== undefined)) return false
  const repairs = listRepairs(messages, humanId)
  if (repairs.length > 0) {
    await graph.updateState(config, { messages: repairs }, START)
    await graph.updateState(config, null, END)
  }
  return true
}

/**
 * Asks a question again: the thread goes back to the checkpoint that asked it.
 *
 * A copy of that checkpoint runs up to its interrupt anew, because the old one may hold the answer that was cut off, and would obey it.
 */
export async function rewindThread (graph: Graph, interruptConfig: ThreadConfig, options: ThreadConfig): Promise<void> {
  const copy = await graph.updateState(interruptConfig, null, COPY)
  if (typeof copy !== 'object' || copy === null || !('configurable' in copy)) throw new Error('The graph gave no checkpoint for the copy')
  await graph.invoke(null, { ...options, configurable: Object.assign({}, options.configurable, copy.configurable) })
}

/**
 * Finishes what a crash, or a disk that failed, in the middle of a repair left: a question whose calls have no result is asked again, everything
 * else is repaired. Resolves to whether there was anything to do.
 */
export async function mendThread (graph: Graph, snapshot: StateSnapshot, config: ThreadConfig, options: ThreadConfig): Promise<boolean> {
  const messages = readMessages(snapshot.values)
  const open = listOpenCalls(messages)
  const last = messages.at(-1)
  const isFit = snapshot.next.length === 0 && open.length === 0 && last?.type !== 'human'
  if (snapshot.createdAt === undefined || isAsking(snapshot) || isFit) return false
  const asked = open.length === 0 ? undefined : await findQuestion(graph, config, messages, open)
  if (asked !== undefined) await rewindThread(graph, asked, options)
  else await repairThread(graph, config, last?.type === 'human' ? last.id : undefined)
  return true
}

/** Whether these calls have results of their own: false if one was cut off, or never came to be. */
export function haveResults (messages: readonly BaseMessage[], toolCallIds: readonly string[]): boolean {
  return toolCallIds.every(id => {
    const result = findResult(messages, id)
    return result !== undefined && !(CUT_OFF in result.additional_kwargs)
  })
}

function isAsking (snapshot: StateSnapshot): boolean {
  return snapshot.tasks.some(task => task.interrupts.length > 0)
}

/** The newest checkpoint that asks about these calls, unless one of the calls that it asks about has a result. */
async function findQuestion (
  graph: Graph, config: ThreadConfig, messages: readonly BaseMessage[], open: readonly string[]
): Promise<ThreadConfig | undefined> {
  for await (const earlier of graph.getStateHistory(config, { limit: MAX_LOOK_BACK })) {
    const question = readWaiting(earlier)?.question
    if (question === undefined || !question.actions.some(action => open.includes(action.toolCallId))) continue
    const hasResult = question.actions.some(action => findResult(messages, action.toolCallId) !== undefined)
    return hasResult ? undefined : earlier.config
  }
  return undefined
}

function findResult (messages: readonly BaseMessage[], toolCallId: string): ToolMessage | undefined {
  // Behind the call itself: there are providers that use their ids again.
  const asked = messages.findLastIndex(message => isAiMessage(message) && message.tool_calls?.some(call => call.id === toolCallId) === true)
  return messages.slice(asked + 1).filter(message => ToolMessage.isInstance(message)).find(message => message.tool_call_id === toolCallId)
}

function listOpenCalls (messages: readonly BaseMessage[]): string[] {
  const calls = messages.findLast(message => isAiMessage(message))?.tool_calls ?? []
  return calls.flatMap(call => call.id !== undefined && findResult(messages, call.id) === undefined ? call.id : [])
}

function listRepairs (messages: readonly BaseMessage[], humanId: string | undefined): BaseMessage[] {
  const repairs: BaseMessage[] = messages.some(message => message.id === humanId) && humanId !== undefined ? [new RemoveMessage({ id: humanId })] : []
  const asked = messages.findLast(message => isAiMessage(message))
  const open = listOpenCalls(messages)
  const calls = asked?.tool_calls ?? []
  if (asked?.id === undefined || open.length === 0) return repairs
  // A message whose calls all came to nothing says nothing; one with a result has to keep it, and so needs one for each.
  if (open.length === calls.length) return [...repairs, new RemoveMessage({ id: asked.id })]
  return [...repairs, ...calls.filter(call => open.includes(call.id ?? '')).map(call => describeCutOff(call.id ?? '', call.name))]
}

function describeCutOff (toolCallId: string, name: string): ToolMessage {
  return new ToolMessage({
    content: 'This call was cut off: it may or may not have happened. Ask the person before trying again.',
    name,
    tool_call_id: toolCallId,
    status: 'error',
    additional_kwargs: { [CUT_OFF]: true }
  })
}
