import { Counter, Histogram, type Registry } from 'prom-client'
import type { ErrorCode } from '../errors.ts'
import type { TurnEnd, TurnObserver, TurnOutcome } from '../turn-observer.ts'
import { ApprovalMetrics } from './approvals.ts'
import { LabelValues } from './label-values.ts'
import type { SweepMetrics } from './sweeps.ts'

/** From an echo to what `AGENT_TIMEOUT_SECONDS` may allow. */
const DURATION_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300]
const WAIT_BUCKETS = [0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]

/** A graph may name any model that it likes. */
const MAX_MODELS = 20
const NO_MODEL = 'unknown'

const NO_CODE = 'none'
const DONE: readonly TurnOutcome[] = ['completed', 'waiting_approval', 'replayed']

/** The errors that turns end with; another one has its series when it happens. */
const CODES: Readonly<Partial<Record<TurnOutcome, readonly ErrorCode[]>>> = {
  cancelled: ['TURN_CANCELLED'],
  refused: [
    'REQUEST_INVALID', 'SESSION_NOT_FOUND', 'APPROVAL_NOT_PENDING', 'APPROVAL_SUPERSEDED', 'APPROVAL_EXPIRED', 'APPROVAL_OUTCOME_UNKNOWN',
    'IDEMPOTENCY_KEY_REUSED', 'DECISION_REFUSED', 'KEY_SCOPE_MISSING', 'TURN_QUEUE_FULL'
  ],
  failed: [
    'CONVERSATION_UNREADABLE', 'INTERNAL', 'AGENT_FAILED', 'STORE_UNAVAILABLE', 'CONVERSATIONS_UNAVAILABLE', 'OVERLOADED', 'SERVICE_STOPPING',
    'AGENT_TIMEOUT', 'TURN_TAKEN_OVER'
  ]
}

/** What is measured of turns. */
export class TurnMetrics implements TurnObserver {
  readonly #turns: Counter<'outcome' | 'code'>
  readonly #durations: Histogram<'outcome'>
  readonly #waits: Histogram
  readonly #tokens: Counter<'model' | 'direction'>
  readonly #models = new LabelValues(MAX_MODELS, [NO_MODEL])
  readonly #approvals: ApprovalMetrics
  readonly #sweeps: SweepMetrics

  constructor (registry: Registry, sweeps: SweepMetrics) {
    const registers = [registry]
    this.#sweeps = sweeps
    this.#approvals = new ApprovalMetrics(registry)
    this.#turns = new Counter({
      name: 'holdline_turns_total',
      help: 'Turns that ended, by what they came to and the code of the error that ended them; replayed: the answer to an earlier message again',
      labelNames: ['outcome', 'code'],
      registers
    })
    this.#durations = new Histogram({
      name: 'holdline_turn_duration_seconds',
      help: 'Time from the moment that it was its turn to the answer; without those whose turn never came',
      labelNames: ['outcome'],
      buckets: DURATION_BUCKETS,
      registers
    })
    this.#waits = new Histogram({
      name: 'holdline_turn_wait_seconds', help: 'Time from the arrival of a message to its turn, or to its end without one', buckets: WAIT_BUCKETS, registers
    })
    this.#tokens = new Counter({
      name: 'holdline_model_tokens_total',
      help: 'Tokens as the provider counted them, of turns that ended with an answer or a question',
      labelNames: ['model', 'direction'],
      registers
    })
    for (const outcome of DONE) this.#turns.inc({ outcome, code: NO_CODE }, 0)
    for (const [outcome, codes] of Object.entries(CODES)) for (const code of codes) this.#turns.inc({ outcome, code }, 0)
    for (const outcome of [...DONE, ...Object.keys(CODES)]) this.#durations.zero({ outcome })
    this.expectModel(NO_MODEL)
  }

  /** A model is in use: so are its series, before its first turn ends. */
  expectModel (model: string): void {
    for (const direction of ['input', 'output']) this.#tokens.inc({ model: this.#models.take(model), direction }, 0)
  }

  ended ({ outcome, code, waitedMs, durationMs, model = NO_MODEL, usage }: TurnEnd): void {
    this.#turns.inc({ outcome, code: code ?? NO_CODE })
    this.#waits.observe(waitedMs / 1000)
    if (durationMs !== undefined) this.#durations.observe({ outcome }, durationMs / 1000)
    // An answer that is given again costs no tokens again.
    if (usage === undefined || outcome === 'replayed') return
    const label = this.#models.take(model)
    this.#tokens.inc({ model: label, direction: 'input' }, usage.input_tokens)
    this.#tokens.inc({ model: label, direction: 'output' }, usage.output_tokens)
  }

  asked (): void {
    this.#approvals.asked()
  }

  decided (...[decisions, route]: Parameters<TurnObserver['decided']>): void {
    this.#approvals.decided(decisions.map(({ type }) => type), route)
  }

  removed (reason: 'deleted' | 'new'): void {
    this.#sweeps.removed(reason)
  }
}
