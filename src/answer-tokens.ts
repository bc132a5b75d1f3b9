import type { AgentEvent } from './agent/agent.ts'

/**
 * The tokens of an answer as those who follow it see them.
 *
 * *Promise.* The texts of the tokens after the last tool result, joined, are the message of a completed turn: also where the message begins with
 * something that the agent did not say, where the agent does not stream, and where it has nothing to say.
 */
export class AnswerTokens {
  readonly #preface: string
  #written = ''
  /** Blank so far: an answer that stays so is told in other words. */
  #blank = ''

  /** `preface` is what the message begins with, before the agent's own words. */
  constructor (preface: string) {
    this.#preface = preface
  }

  /** The text to show for an event of the agent's, if any. */
  write (event: AgentEvent): string {
    if (event.type === 'tool_result') {
      this.#written = ''
      this.#blank = ''
    }
    if (event.type !== 'token') return ''
    const text = this.#blank + event.text
    if (this.#written === '' && text.trim() === '') {
      this.#blank = text
      return ''
    }
    const shown = this.#written === '' ? this.#preface + text : text
    this.#blank = ''
    this.#written += shown
    return shown
  }

  /** What of the message has not been shown. */
  finish (message: string): string {
    return message.startsWith(this.#written) ? message.slice(this.#written.length) : ''
  }
}
