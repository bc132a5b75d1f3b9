import { SESSION_TIMEOUT_MS } from './settings.ts'

interface Entry {
  readonly activeAtMs: number
  readonly hasSpoken: boolean
}

/** How many sessions and conversations there have to be. */
export interface Expected {
  readonly sessions: number
  readonly threads: number
}

/** The sessions that there have to be, by what their people did: how many there may be depends on how fast the machine is. */
export class Roster {
  /** Who was heard of first is first. */
  readonly #sessions = new Map<string, Entry>()

  /** Somebody was heard of; `hasSpoken` if the agent heard it, too. */
  note (sessionId: string, hasSpoken: boolean): void {
    const hadSpoken = this.#sessions.get(sessionId)?.hasSpoken === true
    this.#sessions.delete(sessionId)
    this.#sessions.set(sessionId, { activeAtMs: performance.now(), hasSpoken: hasSpoken || hadSpoken })
  }

  remove (sessionId: string): void {
    this.#sessions.delete(sessionId)
  }

  /** How many have not expired, and how many of them have a conversation. */
  count (): Expected {
    for (const [sessionId, { activeAtMs }] of this.#sessions) {
      if (activeAtMs > performance.now() - SESSION_TIMEOUT_MS) break
      this.#sessions.delete(sessionId)
    }
    return { sessions: this.#sessions.size, threads: [...this.#sessions.values()].filter(({ hasSpoken }) => hasSpoken).length }
  }
}
