import { BaseCallbackHandler } from '@langchain/core/callbacks/base'

/**
 * Counts the tools that one run starts, and refuses those beyond the limit before they begin. What becomes of the refusal is the graph's: a step that
 * tells its model of tools that failed goes on, any other one ends the run.
 */
export class ToolCallLimit extends BaseCallbackHandler {
  override readonly name = 'ToolCallLimit'
  // Both, or the tool would start whatever we say.
  override awaitHandlers = true
  override raiseError = true
  readonly #maxToolCalls: number
  #count = 0

  constructor (maxToolCalls: number) {
    super()
    this.#maxToolCalls = maxToolCalls
  }

  override handleToolStart (): void {
    this.#count++
    if (this.#count > this.#maxToolCalls) throw new Error(`The turn may call at most ${this.#maxToolCalls} tools (MAX_TOOL_CALLS)`)
  }
}
