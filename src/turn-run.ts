import type { AgentEvent } from './agent/agent.ts'
import { AnswerTokens } from './answer-tokens.ts'
import { ServiceError, type SessionReference } from './errors.ts'
import type { Reply } from './reply.ts'
import type { TurnEvents } from './turn-events.ts'
import type { TurnWatch } from './turn-watch.ts'

/** How what a turn tells is written, as JSON. */
export interface TurnFormat {
  readonly session: (session: SessionReference) => string
  readonly reply: (reply: Reply) => string
  readonly error: (error: ServiceError) => string
}

/** Of a turn that has ended. */
const NO_FORMAT: TurnFormat = { session: () => '{}', reply: () => '{}', error: () => '{}' }

/** A turn that others than its own request may wait for. */
export interface TurnRunOptions {
  readonly events: TurnEvents
  /** Whose API key asked for it. */
  readonly clientId: string
  readonly wantsTokens: boolean
  readonly format: TurnFormat
  readonly run: (watch: TurnWatch) => Promise<Reply>
}

/**
 * One turn that has been asked for: its events as they happen, and what it comes to.
 *
 * *Promise.* It runs to its end whoever stops listening. Its events are `session`, unless it fails before, any number of others, and exactly one
 * `message` or `error`. Once it has ended, it holds on to these and to nothing else: neither to the request nor to what ran.
 */
export class TurnRun implements TurnWatch {
  readonly events: TurnEvents
  readonly clientId: string
  readonly wantsTokens: boolean
  #outcome: Promise<string>
  #accepted: Promise<unknown>
  #begun: Promise<unknown>
  #format: TurnFormat
  #session: SessionReference | undefined
  #tokens = new AnswerTokens('')
  #isReplay = false
  #error: ServiceError | undefined
  #markAccepted = (): void => {}
  #markBegun = (): void => {}

  constructor ({ events, clientId, wantsTokens, format, run }: TurnRunOptions) {
    this.events = events
    this.clientId = clientId
    this.wantsTokens = wantsTokens
    this.#format = format
    const isAccepted = new Promise<void>(resolve => { this.#markAccepted = resolve })
    const hasBegun = new Promise<void>(resolve => { this.#markBegun = resolve })
    this.#outcome = this.#finish(run)
    this.#begun = Promise.race([hasBegun, this.#outcome])
    this.#accepted = Promise.race([isAccepted, this.#begun])
    const letGo = (): void => { this.#letGo() }
    this.#outcome.then(letGo, letGo)
    // Whoever waits for them is told; nobody has to.
    this.#accepted.catch(() => {})
    this.#begun.catch(() => {})
  }

  /** The answer, as JSON. */
  get outcome (): Promise<string> {
    return this.#outcome
  }

  /** Resolves when the message has its place in the queue; rejects if it gets none. */
  get accepted (): Promise<unknown> {
    return this.#accepted
  }

  /** Resolves when there is something to tell; rejects if the turn is refused before. */
  get begun (): Promise<unknown> {
    return this.#begun
  }

  /** Whose turn it is, once it has begun. */
  get session (): SessionReference | undefined {
    return this.#session
  }

  /** Once it has ended: whether its answer is that to an earlier message, given again. */
  get isReplay (): boolean {
    return this.#isReplay
  }

  accept (): void {
    this.#markAccepted()
  }

  began (session: SessionReference, preface: string): void {
    if (this.#session !== undefined) return
    const { sessionId, userId, platform } = session
    this.#session = { sessionId, userId, platform }
    this.#tokens = new AnswerTokens(preface)
    this.events.add('session', this.#format.session(session))
    this.#markBegun()
  }

  happened (event: AgentEvent): void {
    this.#showText(this.#tokens.write(event))
    if (event.type !== 'tool_call' && event.type !== 'tool_result') return
    const { type, ...told } = event
    this.events.add(type, JSON.stringify(told))
  }

  async #finish (run: TurnRunOptions['run']): Promise<string> {
    try {
      const reply = await run(this)
      this.#isReplay = reply.isReplay === true
      const answer = this.#format.reply(reply)
      this.began(reply.session, '')
      if (reply.status === 'completed') this.#showText(this.#tokens.finish(reply.message))
      this.events.add('message', answer)
      return answer
    } catch (thrown) {
      const error = thrown instanceof ServiceError ? thrown : new ServiceError('INTERNAL', { cause: thrown })
      this.events.add('error', this.#format.error(error))
      this.#error = error.withoutCause()
      throw error
    }
  }

  #letGo (): void {
    this.#format = NO_FORMAT
    this.#tokens = new AnswerTokens('')
    this.#markAccepted = this.#markBegun = () => {}
    if (this.#error === undefined) return
    this.#outcome = Promise.reject(this.#error)
    this.#accepted = this.#begun = this.#outcome
    this.#outcome.catch(() => {})
  }

  #showText (text: string): void {
    if (text !== '') this.events.add('token', JSON.stringify({ text }))
  }
}
