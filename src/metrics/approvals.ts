import { Counter, type Registry } from 'prom-client'

/** Of a question about several actions that were decided differently. */
const MIXED = 'mixed'

/** What is measured of questions. */
export class ApprovalMetrics {
  readonly #asked: Counter
  readonly #decided: Counter<'decision' | 'route'>
  readonly #expired: Counter

  constructor (registry: Registry) {
    const registers = [registry]
    this.#asked = new Counter({
      name: 'holdline_approvals_asked_total', help: 'Questions that were put to a person; one that is asked again, since its answer was cut off, counts again', registers
    })
    this.#decided = new Counter({
      name: 'holdline_approvals_decided_total',
      help: 'Questions that were answered, by the answer and how it came: in a chat, or through /api/approve',
      labelNames: ['decision', 'route'],
      registers
    })
    this.#expired = new Counter({ name: 'holdline_approvals_expired_total', help: 'Questions that nobody answered in time', registers })
    for (const route of ['chat', 'approve']) {
      for (const decision of ['approve', 'edit', 'reject', 'respond', 'resume', MIXED]) this.#decided.inc({ decision, route }, 0)
    }
  }

  asked (): void {
    this.#asked.inc()
  }

  /** A question was answered with these kinds of decisions, one for each action; by route `timeout`: by nobody. */
  decided (kinds: readonly string[], route: string): void {
    if (route === 'timeout') {
      this.#expired.inc()
      return
    }
    const [first = MIXED, ...others] = kinds
    this.#decided.inc({ decision: others.every(kind => kind === first) ? first : MIXED, route })
  }
}
