import type { BaseCallbackHandler } from '@langchain/core/callbacks/base'
import type { BaseMessage } from '@langchain/core/messages'
import { isInterrupted } from '@langchain/langgraph'
import type { AgentEvent, RunRequest } from './agent.ts'
import type { Graph, RunLimits } from './graph.ts'
import { readMessages } from './messages.ts'
import { Narration, type Speakers } from './narration.ts'
import { readChunk, type Chunk } from './run-chunk.ts'
import type { DescribeRun } from './run-context.ts'
import { limitTools, ToolCallLimit } from './tool-call-limit.ts'

/** Makes those who are told of what a run calls. */
export type WatchRun = () => readonly BaseCallbackHandler[]

/** How a graph is run. */
export interface GraphRunsOptions {
  readonly graph: Graph
  readonly limits: RunLimits
  readonly describeRun: DescribeRun
  /** Whether nothing changes what the model of `createAgent` says, so that it is told word by word from the first run on. */
  readonly speaksAtOnce: boolean
  /** Who is told by LangChain of what a run calls, anew for each run. */
  readonly watchRun: WatchRun
}

/** What a run that ended well came to. */
export interface RunEnd {
  /** Whether it waits for an answer. */
  readonly isQuestion: boolean
  /** All of the thread. */
  readonly messages: readonly BaseMessage[]
  /** Those of `messages` whose tool calls may be open still. */
  readonly seen: readonly BaseMessage[]
  /** None where the graph told of no state. */
  readonly narration: Narration | undefined
}

/** The step of `createAgent` whose model speaks to the person. */
const MODEL_NODE = 'model_request'

/** The runs of a graph, each told as it goes. */
export class GraphRuns {
  readonly #options: GraphRunsOptions
  readonly #speakers: Speakers

  constructor (options: GraphRunsOptions) {
    this.#options = options
    this.#speakers = new Map(options.speaksAtOnce ? [[MODEL_NODE, 0]] : [])
    limitTools(options.graph)
  }

  /** What LangGraph is given with a run; `approved` are the tool calls that the person has just said yes to. */
  configure ({ threadId, person }: Pick<RunRequest, 'threadId' | 'person'>, approved: string[] = []) {
    const { limits, describeRun } = this.#options
    const { context, configurable } = describeRun(person, approved)
    return {
      configurable: { ...configurable, ...new ToolCallLimit(limits.maxToolCalls).configurable, thread_id: threadId },
      context,
      // One checkpoint a turn: enough to survive a crash between turns, a fraction of the writes.
      durability: 'exit',
      recursionLimit: limits.maxSteps
    }
  }

  /**
   * Runs the graph. What is yielded has happened; the last words of an answer are the narration's to tell, once the run is known to be kept. Throws
   * what the graph throws.
   *
   * @param before The messages of the thread, for a run that goes on where it asked.
   */
  async * run (input: unknown, request: RunRequest, approved: string[], before?: readonly BaseMessage[]): AsyncGenerator<AgentEvent, RunEnd> {
    const { wantsTokens = false } = request
    const narrate = (known: readonly BaseMessage[]) => new Narration({ before: known, wantsTokens, speakers: this.#speakers })
    let narration = before === undefined ? undefined : narrate(before)
    let messages: readonly BaseMessage[] = []
    let isQuestion = false
    for await (const { state, token } of this.#stream(input, request, approved)) {
      if (token !== undefined) yield * narration?.hear(token.message, token.node, token.model) ?? []
      if (isInterrupted(state)) isQuestion = true
      else if (state !== undefined) {
        messages = readMessages(state)
        narration ??= narrate(messages)
        yield * narration.see(messages)
      }
    }
    return { isQuestion, messages, seen: before === undefined ? narration?.seen ?? [] : messages, narration }
  }

  async * #stream (input: unknown, request: RunRequest, approved: string[]): AsyncGenerator<Chunk> {
    const callbacks = this.#options.watchRun()
    const chunks = this.#options.graph._streamIterator(input, {
      ...this.configure(request, approved),
      ...(callbacks.length > 0 && { callbacks }),
      signal: request.signal,
      streamMode: request.wantsTokens === true ? ['values', 'messages'] : ['values']
    })
    for await (const chunk of chunks) yield readChunk(chunk)
  }
}
