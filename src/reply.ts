import type { Usage } from './agent/agent.ts'
import type { PendingApproval } from './pending-approval.ts'
import type { Session } from './sessions/session.ts'

/** What a run tells of itself. */
export interface RunFacts {
  readonly model?: string
  readonly usage?: Usage
}

/** What a turn came to. */
export interface Reply {
  readonly session: Session
  readonly status: 'completed' | 'waiting_approval'
  /** Never empty. */
  readonly message: string
  readonly approval: PendingApproval | null
  readonly facts: RunFacts & { readonly durationMs: number }
  /** It answers a message that comes again, from what is kept of the first time. */
  readonly isReplay?: boolean
}
