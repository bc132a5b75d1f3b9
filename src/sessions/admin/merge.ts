import type { Session } from '../session.ts'

/** What becomes of sessions that come from another file. */
export interface Merge {
  /** Those that are new, and those that take the place of an older one: as they are to be kept. */
  readonly added: readonly Session[]
  readonly replaced: readonly Session[]
  /** How many stay as they are here, since they were active here as recently or more. */
  readonly left: number
}

/** Decides for each session that comes whether it is taken: of one that both have, the more recently active stays. */
export function mergeSessions (present: readonly Session[], incoming: readonly Session[]): Merge {
  const byId = new Map(present.map((session) => [session.sessionId, session]))
  const added: Session[] = []
  const replaced: Session[] = []
  let left = 0
  for (const session of incoming) {
    const own = byId.get(session.sessionId)
    if (own === undefined) added.push(session)
    else if (own.lastActivityMs >= session.lastActivityMs) left++
    // A column that only this file has says nothing about the session in the other one.
    else replaced.push({ ...session, extra: { ...own.extra, ...session.extra } })
  }
  return { added, replaced, left }
}
