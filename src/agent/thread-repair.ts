import { RemoveMessage, ToolMessage, type BaseMessage } from '@langchain/core/messages'
import { END, START } from '@langchain/langgraph'
import type { Graph } from './langgraph.ts'
import { isAiMessage, readMessages } from './messages.ts'

/** Which thread, and at which checkpoint, if not at the newest. */
export interface ThreadConfig {
  configurable?: Record<string, unknown>
}

/** LangGraph's name for a checkpoint that repeats another one. */
const COPY = '__copy__'

/**
 * Makes a thread fit for the next message after a run that failed half-way.
 *
 * *Promise.* The message `humanId` is gone; every tool call left in the thread has its result; the results of tools that ran are kept; nothing is
 * pending. Resolves to whether the run got as far as a result of one of `toolCallIds` (true if there are none to ask about): if not, a question
 * about them is as good as unanswered, and the thread is left as it is.
 */
export async function repairThread (
  graph: Graph,
  config: ThreadConfig,
  humanId: string | undefined,
  toolCallIds: readonly string[] = []
): Promise<boolean> {
  const snapshot = await graph.getState(config)
  if (snapshot.createdAt === undefined) return toolCallIds.length === 0
  const isAsking = snapshot.tasks.some(task => task.interrupts.length > 0)
  if (isAsking && toolCallIds.length > 0) return false
  // Takes in the results of the tasks that finished, and drops the tasks that did not.
  await graph.updateState(config, null, END)
  const messages = readMessages((await graph.getState(config)).values)
  if (toolCallIds.length > 0 && !messages.some(message => ToolMessage.isInstance(message) && toolCallIds.includes(message.tool_call_id))) return false
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
export async function rewindThread (graph: Graph, interruptConfig: ThreadConfig, options: object): Promise<void> {
  const copy = await graph.updateState(interruptConfig, null, COPY)
  if (typeof copy !== 'object' || copy === null || !('configurable' in copy)) throw new Error('The graph gave no checkpoint for the copy')
  await graph.invoke(null, { ...options, configurable: copy.configurable })
}

function listRepairs (messages: readonly BaseMessage[], humanId: string | undefined): BaseMessage[] {
  const answered = new Set(messages.flatMap(message => ToolMessage.isInstance(message) ? message.tool_call_id : []))
  const repairs: BaseMessage[] = []
  for (const message of messages) {
    if (message.id !== undefined && message.id === humanId) repairs.push(new RemoveMessage({ id: message.id }))
    if (!isAiMessage(message) || message.id === undefined) continue
    const calls = message.tool_calls ?? []
    const open = calls.filter(call => call.id !== undefined && !answered.has(call.id))
    if (open.length === 0) continue
    if (open.length === calls.length) repairs.push(new RemoveMessage({ id: message.id }))
    else repairs.push(...open.map(call => describeCutOff(call.id ?? '', call.name)))
  }
  return repairs
}

function describeCutOff (toolCallId: string, name: string): ToolMessage {
  return new ToolMessage({
    content: 'This call was cut off: it may or may not have happened. Ask the person before trying again.',
    name,
    tool_call_id: toolCallId,
    status: 'error'
  })
}
