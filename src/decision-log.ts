import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Decision } from './agent/agent.ts'
import type { PendingApproval } from './pending-approval.ts'
import { shorten } from './sessions/text.ts'
import { changeOwnMetadata, readOwnMetadata } from './sessions/metadata.ts'
import type { JsonObject } from './sessions/session.ts'

/** How many decisions a session remembers. */
const MAX_ENTRIES = 20

/** Characters of a tool's name that are remembered. */
const MAX_WHAT = 200

/** How a decision came. */
export type Route = 'chat' | 'approve' | 'timeout'

const Entry = Type.Object({
  approval_id: Type.String(),
  /** Which tool, or step of the graph, was asked about; never with what arguments: what people say is the conversation's alone. */
  what: Type.String(),
  /** A decision's type, or `expired`. */
  decision: Type.String(),
  /** ISO 8601, UTC. */
  at: Type.String(),
  /** The person; nobody where the question expired. */
  by: Type.Optional(Type.String()),
  via: Type.String(),
  /** Of an expiry: nobody has told the person yet. */
  untold: Type.Optional(Type.Literal(true))
})
type Entry = Static<typeof Entry>

/** What is decided, when, by whom and how. */
export interface Decided {
  readonly approval: PendingApproval
  /** One for each action; none if the question expired. */
  readonly decisions: readonly Decision[]
  readonly nowMs: number
  readonly userId: string
  readonly route: Route
}

/** The session's metadata with this decision in its log, `holdline.decisions`: one entry for each action, the newest last, at most `MAX_ENTRIES`. */
export function logDecision (metadata: JsonObject, { approval, decisions, nowMs, userId, route }: Decided): JsonObject {
  const asked = approval.actions ?? [approval]
  const isExpired = route === 'timeout'
  const entries = asked.map(({ tool_name: toolName }, index): Entry => ({
    approval_id: approval.approval_id,
    what: shorten(toolName, MAX_WHAT),
    decision: isExpired ? 'expired' : decisions[index]?.type ?? 'reject',
    at: new Date(nowMs).toISOString(),
    ...(!isExpired && { by: userId }),
    via: route,
    ...(isExpired && { untold: true })
  }))
  return writeEntries(metadata, [...readEntries(metadata), ...entries].slice(-MAX_ENTRIES))
}

/** A question that expires in this very turn, which still knows what it asked. */
export interface Expired {
  readonly approvalId: string
  readonly asked: string
}

/** What expired since the person was last told, by the names of the tools unless this turn knows more; undefined if nothing did. */
export function findUntoldExpiry (metadata: JsonObject, expired?: Expired): string | undefined {
  const untold = readEntries(metadata).filter(entry => entry.untold === true)
  const others = untold.filter(entry => entry.approval_id !== expired?.approvalId).map(entry => entry.what)
  if (expired === undefined || others.length === untold.length) return untold.length === 0 ? undefined : others.join('; ')
  return [...others, expired.asked].join('; ')
}

/** The same metadata, all expiries told. */
export function markExpiriesTold (metadata: JsonObject): JsonObject {
  return writeEntries(metadata, readEntries(metadata).map(({ untold: _told, ...entry }) => entry))
}

function readEntries (metadata: JsonObject): Entry[] {
  const { decisions } = readOwnMetadata(metadata)
  return Array.isArray(decisions) ? decisions.filter(entry => Value.Check(Entry, entry)) : []
}

function writeEntries (metadata: JsonObject, decisions: readonly Entry[]): JsonObject {
  return changeOwnMetadata(metadata, { decisions })
}
