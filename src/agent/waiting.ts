import type { BaseMessage } from '@langchain/core/messages'
import type { StateSnapshot } from '@langchain/langgraph'
import type { Question } from './agent.ts'
import { readQuestion, type Interrupt } from './approvals.ts'
import { findFinishedTasks } from './finished-tasks.ts'
import type { Graph } from './graph.ts'
import { isAiMessage, readMessages } from './messages.ts'
import type { ThreadConfig } from './thread-repair.ts'

/** The question that a thread waits with, and the interrupts that it is made of. */
export interface Waiting {
  readonly question: Question
  readonly interrupts: readonly Interrupt[]
  /** The thread when it asked. */
  readonly messages: readonly BaseMessage[]
  /** The checkpoint that asked. */
  readonly config: ThreadConfig
  /** Whether nothing but questions is under way: then its step can be run again without doing again what it did. */
  readonly isAlone: boolean
}

/** What a thread waits with; undefined if it does not. */
export async function findWaiting (graph: Graph, { tasks, values, config }: StateSnapshot): Promise<Waiting | undefined> {
  if (!tasks.some(task => task.interrupts.length > 0)) return undefined
  const finished = tasks.length > 1 ? await findFinishedTasks(graph, config) : new Set<string>()
  const asking = tasks.filter(task => task.interrupts.length > 0 && !finished.has(task.id))
  const interrupts = asking.flatMap(task => task.interrupts.map(({ id, value }): Interrupt => {
    return { id: id ?? '', value, node: task.name, isNested: task.state !== undefined }
  }))
  const messages = readMessages(values)
  // Of this turn: what was said before the person's message has been answered already, and its tool calls have been made.
  const asked = messages.slice(messages.findLastIndex(message => message.type === 'human') + 1).findLast(message => isAiMessage(message))
  const question = readQuestion({ interrupts, toolCalls: asked?.tool_calls ?? [], text: asked?.text ?? '', messageCount: messages.length })
  // A graph within the graph keeps a state of its own, and begins it anew where its step is run again.
  const isAlone = asking.length === tasks.length && asking.every(task => task.state === undefined)
  return question === undefined ? undefined : { question, interrupts, messages, config, isAlone }
}
