import { isTime } from './csv/time.ts'
import type { JsonObject, Session } from './session.ts'

/** Questions of sessions that do not count, looked at before the search is given up: microseconds' worth. */
const MAX_VISITS = 2000

/**
 * When the questions were asked that sessions wait with, in the order in which they came.
 *
 * *Promise.* A change and a search cost the same at one question and at 100 000.
 *
 * *Not promised.* The order of questions that came while the clock was set back. A search that goes on behind `MAX_VISITS` sessions that have
 * expired and are not swept yet.
 */
export class Questions {
  // A Map is walked in the order in which its keys came, and a key that gets a new value keeps its place.
  #askedMs = new Map<string, number>()

  /** A session has become what it is, or has gone. */
  change (before: Session | undefined, after: Session | undefined): void {
    const sessionId = (after ?? before)?.sessionId
    const approval = after?.pendingApproval ?? null
    if (sessionId === undefined || approval === (before?.pendingApproval ?? null)) return
    if (after === undefined || approval === null) {
      this.#askedMs.delete(sessionId)
      return
    }
    const atMs = readAskedMs(after, approval)
    // The same question, its answer under way, keeps its place; another one is as new as any.
    if (this.#askedMs.get(sessionId) === atMs) return
    this.#askedMs.delete(sessionId)
    this.#askedMs.set(sessionId, atMs)
  }

  /** Puts those in order that came out of a file. */
  sort (): void {
    this.#askedMs = new Map([...this.#askedMs].sort(([, a], [, b]) => a - b))
  }

  /** When the question was asked that came first, of those whose session counts; undefined if there is none. */
  findOldest (counts: (sessionId: string) => boolean): number | undefined {
    let visits = 0
    for (const [sessionId, atMs] of this.#askedMs) {
      if (counts(sessionId)) return atMs
      if (++visits === MAX_VISITS) break
    }
    return undefined
  }
}

/**
 * When a question was asked, in milliseconds since the epoch. What another service wrote may say it in another way, or not at all: then it was when
 * the session was last active.
 */
export function readAskedMs ({ lastActivityMs }: Pick<Session, 'lastActivityMs'>, { requested_at: text }: JsonObject): number {
  const atMs = typeof text === 'string' ? Date.parse(text) : NaN
  return isTime(atMs) ? atMs : lastActivityMs
}
