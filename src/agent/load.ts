import type { Log } from '../log.ts'
import type { Agent } from './agent.ts'
import { createAssistant, describeContext } from './assistant.ts'
import { ConversationFile } from './checkpointer.ts'
import { LangGraphAgent, type RunLimits } from './langgraph.ts'
import { createModel, type ModelOptions } from './model.ts'
import { openRemoteAgent } from './remote/open.ts'

/** Which agent, and where its conversations are kept. */
export interface LoadAgentOptions extends ModelOptions {
  /** A LangGraph server that runs the agent, and keeps its conversations. */
  readonly langgraphUrl?: string | undefined
  readonly langgraphAssistantId: string
  readonly langgraphApiKey?: string | undefined
  readonly conversationsPath: string
  readonly limits: RunLimits
  readonly log: Log
  readonly now?: () => number
}

/** An agent, ready for turns, and the end of it. */
export interface LoadedAgent {
  readonly agent: Agent
  close (): Promise<void>
}

/** Loads the agent. Throws SETTING_INVALID, FILE_LOCKED or FILE_INVALID; nothing is left open then. */
export async function loadAgent (options: LoadAgentOptions): Promise<LoadedAgent> {
  const { langgraphUrl: url, langgraphAssistantId: assistantId, langgraphApiKey: apiKey, limits, log } = options
  if (url === undefined) return await openAssistant(options)
  return { agent: await openRemoteAgent({ url, assistantId, apiKey, log, maxSteps: limits.maxSteps }), close: async () => {} }
}

async function openAssistant ({ conversationsPath, limits, log, now = Date.now, ...modelOptions }: LoadAgentOptions): Promise<LoadedAgent> {
  const { name, model } = await createModel(modelOptions)
  const file = await ConversationFile.open({ path: conversationsPath, now, log })
  const { graph, tools } = createAssistant({ model, checkpointer: file.checkpointer, notes: file.notes, log, now })
  const agent = new LangGraphAgent({ description: { kind: 'built-in', model: name }, graph, tools, threads: file, log, limits, describeContext })
  return { agent, close: () => file.close() }
}
