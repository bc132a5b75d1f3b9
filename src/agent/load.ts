import type { Tracer } from '@opentelemetry/api'
import type { Environment } from '../config.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../log.ts'
import { createAssistant } from './assistant.ts'
import { chooseAgent, type ChoiceOptions } from './choice.ts'
import type { OpenConversations } from './conversations.ts'
import { openGraphAgent } from './graph-agent.ts'
import { loadGraph } from './graph-module.ts'
import { LangGraphAgent } from './langgraph.ts'
import type { RunLimits } from './graph.ts'
import type { LoadedAgent } from './loaded-agent.ts'
import { createModel, type ModelOptions } from './model.ts'
import { openRemoteAgent } from './remote/open.ts'
import { describeAssistantRun } from './run-context.ts'
import { RunSpans } from './run-spans.ts'
import { TracedAgent } from './traced-agent.ts'

/** Which agent, and where its conversations are kept. */
export interface LoadAgentOptions extends ChoiceOptions, ModelOptions {
  readonly openConversations: OpenConversations
  /** Whether other processes run turns of the same threads, too. */
  readonly isShared: boolean
  readonly limits: RunLimits
  readonly log: Log
  readonly now?: () => number
  /** Makes the variables of `langgraph.json` known to an agent of the user's, before it is loaded; see `AppOptions`. */
  readonly setVariables?: (variables: Environment) => void
  /** Makes the spans of what the agent does; none without it. */
  readonly tracer?: Tracer | undefined
}

/** Loads the agent that is chosen. Throws SETTING_INVALID, FILE_LOCKED or FILE_INVALID; nothing of ours is left open then. */
export async function loadAgent (options: LoadAgentOptions): Promise<LoadedAgent> {
  const { agent, close } = await openAgent(options)
  return { agent: options.tracer === undefined ? agent : new TracedAgent(agent, options.tracer), close }
}

async function openAgent (options: LoadAgentOptions): Promise<LoadedAgent> {
  const choice = chooseAgent(options)
  switch (choice.kind) {
    case 'built-in': return await openAssistant(options)
    case 'remote': {
      const { url, assistantId, apiKey } = choice
      const { limits, log, tracer } = options
      return { agent: await openRemoteAgent({ url, assistantId, apiKey, log, maxSteps: limits.maxSteps, tracer }), close: async () => {} }
    }
    case 'graph': {
      const { openConversations, isShared, limits, log, setVariables = () => {}, tracer } = options
      setVariables(choice.variables)
      const graph = await loadGraph(choice.source).catch((error: unknown) => {
        // The line that ends the start has no room for the stack, which leads to the line of the user's that is at fault.
        if (error instanceof ServiceError && error.cause !== undefined) log.error({ err: error.cause }, `The agent ${choice.source.name} cannot be loaded`)
        throw error
      })
      return await openGraphAgent({ source: choice.source, graph, openConversations, isShared, limits, log, tracer })
    }
  }
}

async function openAssistant ({ openConversations, limits, log, now = Date.now, tracer, ...modelOptions }: LoadAgentOptions): Promise<LoadedAgent> {
  const { name, model } = await createModel(modelOptions)
  const conversations = await openConversations()
  const { graph, tools } = createAssistant({ model, checkpointer: conversations.checkpointer, notes: conversations.notes, log, now })
  const agent = new LangGraphAgent({
    description: { kind: 'built-in', model: name },
    graph,
    tools,
    threads: conversations,
    log,
    limits,
    describeRun: describeAssistantRun,
    ...(tracer !== undefined && { watchRun: () => [new RunSpans(tracer)] })
  })
  return { agent, close: () => conversations.close() }
}
