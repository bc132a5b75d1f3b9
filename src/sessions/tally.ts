import type { Session } from './session.ts'
import type { SessionCount } from './store.ts'

/** How many sessions, and how many of them with a question. */
export interface TallyCount { all: number, pending: number }

/** Counts sessions by platform. */
export class Tally {
  readonly #counts = new Map<string, TallyCount>()

  add (session: Session): void {
    this.#change(session.platform, 1, session.pendingApproval === null ? 0 : 1)
  }

  remove (session: Session): void {
    this.#change(session.platform, -1, session.pendingApproval === null ? 0 : -1)
  }

  addAll (other: Tally): void {
    for (const [platform, { all, pending }] of other.counts) this.#change(platform, all, pending)
  }

  removeAll (other: Tally): void {
    for (const [platform, { all, pending }] of other.counts) this.#change(platform, -all, -pending)
  }

  /** By platform; none with no session. */
  get counts (): ReadonlyMap<string, Readonly<TallyCount>> {
    return this.#counts
  }

  #change (platform: string, all: number, pending: number): void {
    const count = this.#counts.get(platform)
    if (count === undefined) {
      this.#counts.set(platform, { all, pending })
      return
    }
    count.all += all
    count.pending += pending
    if (count.all === 0) this.#counts.delete(platform)
  }
}

/** How many sessions there are, by how many there are of each platform. */
export function sumCounts (counts: ReadonlyMap<string, Readonly<TallyCount>>): SessionCount {
  const found = [...counts]
  return {
    count: found.reduce((sum, [, { all }]) => sum + all, 0),
    pendingApprovals: found.reduce((sum, [, { pending }]) => sum + pending, 0),
    byPlatform: Object.fromEntries(found.map(([platform, { all }]) => [platform, all]))
  }
}
