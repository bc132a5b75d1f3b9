import { randomUUID } from 'node:crypto'
import { Finding, type Answer, type AnswerBody, type Ask, type Client } from './client.ts'
import type { Random } from './random.ts'
import type { Roster } from './roster.ts'
import { SESSION_TIMEOUT_MS } from './settings.ts'
import { joinTokens, readStream, type StreamEvent } from './stream.ts'

/** A message, and what goes with it. */
export interface Say {
  readonly text: string
  readonly more?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly allowed?: readonly string[]
}

/** Bytes of a field that nobody knows, in each body: whoever keeps bodies keeps these. */
const PADDING = { least: 5_000, most: 20_000 }

/** Bytes of metadata in a session, of at most 16 KiB: so many make the session file so large that it has a journal. */
const LUGGAGE = { least: 11_000, most: 15_000 }

/** Who is silent for longer is about to lose the session. */
const STALE_MS = SESSION_TIMEOUT_MS * 0.4

/** What a person talks with. */
export interface PersonOptions {
  readonly client: Client
  readonly random: Random
  /** Where it is noted which sessions there have to be. */
  readonly roster: Roster
}

/** Somebody who talks to the service, and remembers what the service has to remember. */
export class Person {
  readonly platform: string
  readonly #client: Client
  readonly #random: Random
  readonly #name: string
  readonly #roster: Roster
  #activeAtMs = performance.now()
  /** What the conversation holds of theirs, as far as that was acknowledged. */
  said: string[] = []
  sessionId: string | undefined
  /** Told to have been saved: notes outlive sessions. */
  notes = 0

  constructor (name: string, platform: string, { client, random, roster }: PersonOptions) {
    this.#name = name
    this.platform = platform
    this.#client = client
    this.#random = random
    this.#roster = roster
  }

  get userId (): string {
    return `${this.platform}_${this.#name}`
  }

  get isStale (): boolean {
    return this.sessionId !== undefined && performance.now() - this.#activeAtMs > STALE_MS
  }

  /** A text that nobody else says. */
  words (length = 0): string {
    return `${this.#name} says ${randomUUID().slice(0, 8)}${length === 0 ? '' : ` ${this.#random.text(length)}`}`
  }

  chat ({ text, more, headers, allowed = ['200'] }: Say): Ask {
    const padding = this.#random.text(this.#random.between(PADDING.least, PADDING.most))
    const metadata = this.sessionId === undefined && { metadata: { history: this.#random.text(this.#random.between(LUGGAGE.least, LUGGAGE.most)) } }
    const body = { user_id: this.#name, platform: this.platform, message: text, ...metadata, ...more, padding }
    return { path: '/api/chat', body, allowed, ...(headers !== undefined && { headers }) }
  }

  /** Says something, and checks that the answer is this person's. */
  async say (say: Say): Promise<Answer> {
    const answer = await this.#client.send(this.chat(say))
    if (answer.status === 200) this.meet(answer.body, say.text !== '/new')
    return answer
  }

  /** Says something that is echoed. */
  async tell (text: string, more: Omit<Say, 'text'> = {}): Promise<Answer> {
    const answer = await this.say({ text, ...more })
    if (answer.status !== 200) return answer
    this.said.push(text)
    this.expect(answer.body, 'completed', `You said: ${text}`)
    return answer
  }

  /** The same as a stream, read to its end. */
  async tellAloud (text: string): Promise<StreamEvent[]> {
    const events = await readStream(this.#client, this.chat({ text }))
    this.said.push(text)
    const last = this.meetStream(events)
    this.expect(last, 'completed', `You said: ${text}`)
    // What is told beside the answer, of a question that expired, say, comes first.
    if (joinTokens(events) !== last.message) throw new Finding('The tokens of a stream were not its message')
    return events
  }

  /** Checks what a stream that was read to its end said first and last; returns the last. */
  meetStream (events: readonly StreamEvent[]): AnswerBody {
    const [first] = events
    const last = events.at(-1)
    if (first?.name !== 'session' || last?.name !== 'message') throw new Finding(`A stream went from ${first?.name ?? 'nothing'} to ${last?.name ?? 'nothing'}`)
    this.meet(last.data)
    return last.data
  }

  async decide (decision: object, allowed: readonly string[] = ['200'], headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const body = { user_id: this.#name, platform: this.platform, session_id: this.sessionId, ...decision }
    const answer = await this.#client.send({ path: '/api/approve', body, headers, allowed })
    if (answer.status === 200) this.meet(answer.body)
    return answer
  }

  /** Ends the conversation, if there is one, for a new one. */
  async startAfresh (): Promise<void> {
    this.leave()
    const { body } = await this.say({ text: '/new' })
    this.sessionId = body.session_id
  }

  /** Forgets the conversation on this side alone. */
  leave (): void {
    if (this.sessionId !== undefined) this.#roster.remove(this.sessionId)
    this.sessionId = undefined
    this.said = []
  }

  /** Checks whose answer this is; `hasSpoken` unless the agent heard nothing of it. */
  meet (body: AnswerBody, hasSpoken = true): void {
    this.#activeAtMs = performance.now()
    if (body.user_id !== this.userId) throw new Finding(`The answer to ${this.userId} was for ${body.user_id}`)
    this.sessionId ??= body.session_id
    this.#roster.note(body.session_id, hasSpoken)
    if (body.session_id !== this.sessionId) throw new Finding('A conversation went on in another session')
    if (body.requires_approval !== (body.status === 'waiting_approval') || body.message === '') throw new Finding('An answer had another shape')
  }

  expect ({ status, message }: AnswerBody, expected: string, part: string): void {
    if (status !== expected || !message.includes(part)) {
      throw new Finding(`Expected ${expected} and ${JSON.stringify(part.slice(0, 80))}, received ${status} and ${JSON.stringify(message.slice(0, 80))}`)
    }
  }
}
