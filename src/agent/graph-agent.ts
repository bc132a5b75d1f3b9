import type { Tracer } from '@opentelemetry/api'
import type { Log } from '../log.ts'
import type { Person } from './agent.ts'
import { isCompiledGraph, isObject, type CompiledGraph } from './compiled-graph.ts'
import type { OpenConversations } from './conversations.ts'
import { refuseGraph, type GraphSource } from './graph-spec.ts'
import { collectTools } from './graph-tools.ts'
import { LangGraphAgent } from './langgraph.ts'
import type { RunLimits } from './graph.ts'
import type { LoadedAgent } from './loaded-agent.ts'
import { canForget, isInMemory, OwnThreads, readOwnSaver } from './own-threads.ts'
import type { RunDescription } from './run-context.ts'
import { RunSpans } from './run-spans.ts'

/** A graph of the user's, and where its conversations are kept unless it keeps them itself. */
export interface GraphAgentOptions {
  readonly source: GraphSource
  readonly graph: CompiledGraph
  readonly openConversations: OpenConversations
  /** Whether other processes run turns of the same threads, too. */
  readonly isShared: boolean
  readonly limits: RunLimits
  readonly log: Log
  readonly tracer?: Tracer | undefined
}

/**
 * A user's graph as an agent. Conversations are kept where ours are, and so is what it remembers (its `store`), each unless the graph brings its own.
 *
 * Throws SETTING_INVALID, FILE_LOCKED or FILE_INVALID; nothing of ours is left open then.
 */
export async function openGraphAgent (options: GraphAgentOptions): Promise<LoadedAgent> {
  const { source, graph: given, openConversations, isShared, limits, log, tracer } = options
  if (!Object.hasOwn(given.channels, 'messages')) {
    throw refuseGraph(source, 'the graph has no messages in its state; people are heard and answered there, so give it the key that ' +
      'MessagesAnnotation, MessagesValue or createAgent give it')
  }
  if ([given.interruptBefore, given.interruptAfter].some(stops => stops !== undefined && stops.length > 0)) {
    throw refuseGraph(source, 'the graph stops at breakpoints (interruptBefore, interruptAfter), which ask nobody; call interrupt in the node instead')
  }
  const graph = copyGraph(given)
  const saver = readOwnSaver(graph.checkpointer)
  if (isShared && saver !== undefined && isInMemory(saver)) {
    // Each process would hold a conversation of its own with the same person, and take the other's question for one that nobody asks any more.
    throw refuseGraph(source, `the graph's own checkpointer (${saver.constructor.name}) keeps conversations in this process, where no other replica of ` +
      'SESSION_STORE finds them; compile it without a checkpointer, and they are kept where the sessions are')
  }
  const common = {
    description: { kind: 'graph', name: source.name } as const,
    graph,
    tools: collectTools(graph),
    log,
    limits: readLimits(graph, limits),
    speaksAtOnce: !Object.keys(graph.nodes).some(name => AFTER_MODEL.test(name)),
    describeRun: (person: Person) => describeRun(graph, person),
    ...(tracer !== undefined && { watchRun: () => [new RunSpans(tracer)] })
  }
  if (saver !== undefined) {
    if (isInMemory(saver)) log.warn({}, 'Conversations are kept by the graph\'s own checkpointer, in memory: a restart forgets them, and every question that waits')
    else log.info({}, 'Conversations are kept by the graph\'s own checkpointer')
    if (isShared) log.warn({}, 'The graph\'s own checkpointer does not check whose turn it is: a replica that was paused may write over what its successor wrote')
    if (!canForget(saver)) log.warn({}, 'The graph\'s own checkpointer has no deleteThread: a conversation stays when its session ends')
    return { agent: new LangGraphAgent({ ...common, threads: new OwnThreads(saver, isShared) }), close: async () => {} }
  }
  const conversations = await openConversations()
  graph.checkpointer = conversations.checkpointer
  graph.store ??= conversations.notes
  return { agent: new LangGraphAgent({ ...common, threads: conversations }), close: () => conversations.close() }
}

/** A step of `createAgent`, but for the one that asks, that may change what the model said before it counts. */
const AFTER_MODEL = /^(?!HumanInTheLoopMiddleware\.).*\.after_(model|agent)$/

/** A graph that wants to take fewer steps than it may has its way. */
function readLimits ({ config }: CompiledGraph, limits: RunLimits): RunLimits {
  const own = isObject(config) ? config.recursionLimit : undefined
  return typeof own === 'number' ? { ...limits, maxSteps: Math.min(own, limits.maxSteps) } : limits
}

/** A graph of our own to write to: the one that was given stays as it was, save that its tools come to know of `MAX_TOOL_CALLS`. */
function copyGraph (given: CompiledGraph): CompiledGraph {
  const copy = given.withConfig({})
  // A `withConfig` that wraps gives no graph: then it is the given one that is written to, as LangGraph's own server does.
  const graph = isCompiledGraph(copy) ? copy : given
  // It would end every run of a graph that requires other keys of its context than those that we can give.
  return Object.assign(graph, { _validateContext: async (context: unknown) => context })
}

/** What a user's graph learns of a person: the names are those of the wire. The person's name is not a key to anything, and stays out of tracing. */
function describeRun (graph: CompiledGraph, { platform, userId, name }: Person): RunDescription {
  const own = isObject(graph.config) && isObject(graph.config.context) ? graph.config.context : {}
  return {
    configurable: { user_id: userId, platform },
    context: { ...own, user_id: userId, platform, ...(name !== undefined && { user_name: name }) }
  }
}
