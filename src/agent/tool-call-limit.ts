import { setMaxListeners } from 'node:events'
import type { AgentEvent } from './agent.ts'

/** Counts the tool calls of one run, and ends the run at the first one beyond the limit, as soon as the message that makes it is in the thread. */
export class ToolCallLimit {
  readonly #end = new AbortController()
  readonly #maxToolCalls: number
  #count = 0
  /** Ends the run: for the caller's reason, or for the limit. */
  readonly signal: AbortSignal

  constructor (maxToolCalls: number, signal: AbortSignal) {
    this.#maxToolCalls = maxToolCalls
    this.signal = AbortSignal.any([signal, this.#end.signal])
    // Every tool that runs at the same time listens.
    setMaxListeners(0, this.signal)
  }

  /** Throws why, if the limit ended the run. */
  throwIfReached (): void {
    this.#end.signal.throwIfAborted()
  }

  /** Takes what happens in the run. */
  count (events: readonly AgentEvent[]): void {
    this.#count += events.filter(event => event.type === 'tool_call').length
    if (this.#count > this.#maxToolCalls) this.#end.abort(new Error(`The turn calls more than ${this.#maxToolCalls} tools (MAX_TOOL_CALLS)`))
  }
}
