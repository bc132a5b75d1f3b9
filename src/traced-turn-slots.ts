import type { Tracer } from '@opentelemetry/api'
import { withSpan } from './trace.ts'
import { TurnSlots, type TurnSlotsOptions } from './turn-slots.ts'

/** Slots for which a wait is a span; where there is no wait, there is none. */
export class TracedTurnSlots extends TurnSlots {
  readonly #tracer: Tracer

  constructor (options: TurnSlotsOptions, tracer: Tracer) {
    super(options)
    this.#tracer = tracer
  }

  override async run<T> (stop: AbortSignal, turn: () => Promise<T>): Promise<T> {
    let hasEntered = false
    let enter = (): void => {}
    const entered = new Promise<void>(resolve => { enter = resolve })
    // Outside of the span: the turn is no part of the wait.
    const running = super.run(stop, async () => {
      hasEntered = true
      enter()
      return await turn()
    })
    if (!hasEntered) await withSpan(this.#tracer, { name: 'wait for slot' }, async () => { await Promise.race([entered, running]) })
    return await running
  }
}
