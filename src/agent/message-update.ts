import { HumanMessage, RemoveMessage, type BaseMessage } from '@langchain/core/messages'
import { Overwrite, REMOVE_ALL_MESSAGES } from '@langchain/langgraph'
import { isObject } from './compiled-graph.ts'
import type { Graph } from './graph.ts'
import type { ThreadConfig } from './thread-repair.ts'

/** A step that writes and leads nowhere. */
const EDIT = 'holdline_edit'

/**
 * Makes a thread's messages these ones. As no step of the graph's own: those are followed by its conditions, which may call models, or stumble over a
 * thread that is being repaired.
 */
export async function updateMessages (
  graph: Graph, config: ThreadConfig, current: readonly BaseMessage[], messages: readonly BaseMessage[]
): Promise<void> {
  const node = { getWriters: () => [{ invoke: write }], triggers: [], channels: [], subgraphs: [] }
  const editor: Graph = Object.create(graph, { nodes: { value: { ...graph.nodes, [EDIT]: node } } })
  await editor.updateState(config, { messages: replaceMessages(graph.channels.messages, current, messages) }, EDIT)
}

/** As a step of a graph writes to the channels of its state. */
function write (values: object, config: { configurable?: Record<string, unknown> }): void {
  const send = config.configurable?.__pregel_send
  if (typeof send !== 'function') throw new Error('The graph does not tell how to write to its state')
  Reflect.apply(send, undefined, [Object.entries(values)])
}

/**
 * The update that makes a graph's messages these ones, whatever its reducer does with messages that are added: LangGraph's `Overwrite`, or, in
 * versions that have none, the removal of all others. A graph of such a version that only appends keeps what it has, and gets what is new.
 */
function replaceMessages (channel: unknown, current: readonly BaseMessage[], messages: readonly BaseMessage[]): unknown {
  if (isObject(channel) && channel.lc_graph_name === 'LastValue') return messages
  if (obeys(channel, new Overwrite([]))) return new Overwrite(messages)
  const removal = new RemoveMessage({ id: REMOVE_ALL_MESSAGES })
  if (obeys(channel, [removal])) return [removal, ...messages]
  const known = new Set(current)
  return messages.filter(message => !known.has(message))
}

/** Whether an update leaves nothing in a channel of this kind, tried on one of our own. */
function obeys (channel: unknown, update: unknown): boolean {
  if (!isObject(channel) || typeof channel.fromCheckpoint !== 'function') return false
  try {
    const probe: unknown = Reflect.apply(channel.fromCheckpoint, channel, [[new HumanMessage({ id: 'probe', content: '' })]])
    if (!isObject(probe) || typeof probe.update !== 'function' || typeof probe.get !== 'function') return false
    Reflect.apply(probe.update, probe, [[update]])
    const value: unknown = Reflect.apply(probe.get, probe, [])
    return Array.isArray(value) && value.length === 0
  } catch {
    // A reducer that does not know the update may do anything with it: it is not one to be used.
    return false
  }
}
