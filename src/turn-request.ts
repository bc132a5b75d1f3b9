import type { JsonObject, Session } from './sessions/session.ts'
import type { Verdict } from './verdict.ts'

/** A message from a person. */
export interface ChatRequest {
  readonly userId: string
  readonly message: string
  readonly platform: string | undefined
  readonly metadata: JsonObject | undefined
  readonly sessionId: string | undefined
  /** The question that this message answers. */
  readonly approvalId: string | undefined
  /** The session of this id, where somebody looked for it on behalf of this request. */
  readonly found?: Session | undefined
}

/** A decision that comes by itself, not as a chat message. */
export interface DecisionRequest {
  readonly userId: string
  readonly sessionId: string
  readonly verdict: Verdict
  readonly platform: string | undefined
  readonly metadata: JsonObject | undefined
  readonly approvalId: string | undefined
  readonly found?: Session | undefined
}
