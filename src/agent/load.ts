import type { Log } from '../log.ts'
import type { Agent } from './agent.ts'
import { createAssistant, describeContext } from './assistant.ts'
import { ConversationFile } from './checkpointer.ts'
import { LangGraphAgent, type RunLimits } from './langgraph.ts'
import { createModel, type ModelOptions } from './model.ts'

/** Which agent, and where its conversations are kept. */
export interface LoadAgentOptions extends ModelOptions {
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

/** Loads the built-in agent. Throws SETTING_INVALID, FILE_LOCKED or FILE_INVALID; nothing is left open then. */
export async function loadAgent ({ conversationsPath, limits, log, now = Date.now, ...modelOptions }: LoadAgentOptions): Promise<LoadedAgent> {
  const { name, model } = await createModel(modelOptions)
  const file = await ConversationFile.open({ path: conversationsPath, now, log })
  const { graph, tools } = createAssistant({ model, checkpointer: file.checkpointer, notes: file.notes, log, now })
  const agent = new LangGraphAgent({ description: { kind: 'built-in', model: name }, graph, tools, threads: file, log, limits, describeContext })
  return { agent, close: () => file.close() }
}
