import type { Agent } from './agent.ts'

/** An agent, ready for turns, and the end of it. */
export interface LoadedAgent {
  readonly agent: Agent
  close (): Promise<void>
}
