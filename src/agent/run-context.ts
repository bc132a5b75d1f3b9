import { z } from 'zod'

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
