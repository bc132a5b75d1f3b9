import { z } from 'zod'
import type { Person } from './agent.ts'

/** What a run of the built-in agent knows beyond the conversation; never stored with it. */
export const RunContext = z.object({
  platform: z.string(),
  /** Normalised; the same id may stand for another person on another platform. */
  userId: z.string(),
  userName: z.string().optional(),
  /** Ids of the tool calls that the person approved, for this run alone. */
  approved: z.array(z.string()).default([])
})
export type RunContext = z.infer<typeof RunContext>

/** What a run learns of the person that it is for, in LangGraph's own places. */
export interface RunDescription {
  readonly context: object
  readonly configurable?: object
}

/** Each kind of graph has its own; `approved` are the tool calls that the person has just said yes to. */
export type DescribeRun = (person: Person, approved: string[]) => RunDescription

/** What the built-in agent learns. */
export function describeAssistantRun ({ platform, userId, name }: Person, approved: string[]): RunDescription {
  const context: RunContext = { platform, userId, userName: name, approved }
  return { context }
}
