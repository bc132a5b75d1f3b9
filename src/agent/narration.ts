import { AIMessageChunk, type BaseMessage, type AIMessage } from '@langchain/core/messages'
import type { AgentEvent } from './agent.ts'
import { describeEvents, listSpoken, PARAGRAPH } from './events.ts'
import { isAiMessage, sumUsage } from './messages.ts'

/** Runs without a fault until a step that had one is told word by word again. */
const FAULT_LASTS = 2

/** A message that a model is writing. */
interface Writing {
  readonly id: string | undefined
  readonly node: string
  text: string
}

/**
 * Steps of a graph whose models write what ends up in the thread, by name: how many runs without a fault each has before it, 0 if it may be told word
 * by word at once. A step that is not among them is not told word by word yet.
 */
export type Speakers = Map<string, number>

/** How a run is told. */
export interface NarrationOptions {
  /** What was in the thread before the run: it is not told. */
  readonly before: readonly BaseMessage[]
  readonly wantsTokens: boolean
  /** Carried from run to run; see `Narration`. */
  readonly speakers: Speakers
}

/**
 * A run of a graph as events.
 *
 * *Promise.* Every message that comes into the thread is told once. The answer is what the thread says at the end of the run, whatever was written
 * and taken back on the way. The tokens after the last `tool_result`, joined, are the answer's text.
 *
 * A graph may call models for itself, to route or to sum up, and may change what they say before it counts; nothing tells their tokens from those of
 * an answer. So a step of the graph is told word by word once all that its model wrote in a run was in the thread at the end of it (`speakers`, known
 * from earlier runs), and before that in one piece, at the end. One message at a time is told word by word.
 *
 * *Not promised.* The third sentence of the promise in the one run in which a step, known as a speaker, is found to write something else.
 */
export class Narration {
  readonly #options: NarrationOptions
  readonly #before: ReadonlySet<string>
  readonly #known: Set<string>
  readonly #written: Writing[] = []
  readonly #said: AIMessage[] = []
  readonly #seen: BaseMessage[] = []
  /** Messages of graphs that give them no ids are known by their place. */
  #length: number
  /** The message that is being told word by word. */
  #live: Writing | undefined
  /** Of the piece that was heard last. */
  #model: string | undefined
  /** What was told since the last result of a tool. */
  #told = ''

  constructor (options: NarrationOptions) {
    this.#options = options
    this.#before = new Set(options.before.flatMap(message => message.id ?? []))
    this.#known = new Set(this.#before)
    this.#length = options.before.length
  }

  /** The tokens of what the agent said in the run, and its model. */
  get facts (): ReturnType<typeof sumUsage> {
    return sumUsage(this.#said, this.#model)
  }

  /** The messages that came into the thread in the run, in their order. */
  get seen (): readonly BaseMessage[] {
    return this.#seen
  }

  /** Takes a piece of what a model writes, and how that is called. */
  * hear (chunk: unknown, node: string, model = this.#model): Generator<AgentEvent> {
    this.#model = model
    if (!AIMessageChunk.isInstance(chunk) || chunk.text === '') return
    const { id, text } = chunk
    let writing = this.#written.find(one => one.id === id && one.node === node)
    if (writing === undefined) this.#written.push(writing = { id, node, text: '' })
    const isFirst = writing.text === ''
    writing.text += text
    if (isFirst && this.#live === undefined && this.#options.speakers.get(node) === 0) this.#live = writing
    if (this.#live === writing) yield * this.#tell(isFirst ? this.#separate(text) : text)
  }

  /** Takes the thread's messages as they are now. */
  * see (messages: readonly BaseMessage[]): Generator<AgentEvent> {
    for (const message of this.#takeFresh(messages)) {
      this.#seen.push(message)
      if (isAiMessage(message)) this.#said.push(message)
      if (this.#live !== undefined && isAiMessage(message) && isSame(this.#live, message)) this.#live = undefined
      yield * describeEvents(message)
      if (message.type === 'tool') this.#told = ''
    }
  }

  /** The end of a run that asks nothing; `messages` are the thread's. */
  * end (messages: readonly BaseMessage[]): Generator<AgentEvent> {
    const start = this.#options.before.length
    const turn = messages.filter(({ id }, index) => id === undefined ? index >= start : !this.#before.has(id))
    this.#judge(turn)
    const answer = this.#composeAnswer(listSpoken(turn))
    if (answer.startsWith(this.#told)) yield * this.#tell(answer.slice(this.#told.length))
    yield { type: 'answer', text: answer, ...this.facts }
  }

  #takeFresh (messages: readonly BaseMessage[]): BaseMessage[] {
    const fresh: BaseMessage[] = []
    // From the end: what is new stands there, and a long thread is not looked through for it.
    for (let index = messages.length - 1; index >= 0; index--) {
      const message = messages[index]
      if (message === undefined || (message.id === undefined ? index < this.#length : this.#known.has(message.id))) break
      if (message.id !== undefined) this.#known.add(message.id)
      fresh.unshift(message)
    }
    this.#length = messages.length
    return fresh
  }

  /** In the thread's order; but of steps that ran side by side, the one that was told word by word comes first. */
  #composeAnswer (texts: readonly string[]): string {
    const told = texts.indexOf(this.#told)
    const ordered = told < 0 ? texts : [this.#told, ...texts.filter((_, index) => index !== told)]
    return ordered.join(PARAGRAPH)
  }

  /** Which steps may be told word by word in the runs to come. */
  #judge (turn: readonly BaseMessage[]): void {
    const { speakers } = this.#options
    const said = turn.filter(message => isAiMessage(message))
    const faults = new Map<string, boolean>()
    for (const writing of this.#written) {
      const isFault = !said.some(message => isSame(writing, message))
      faults.set(writing.node, isFault || faults.get(writing.node) === true)
    }
    for (const [node, isFault] of faults) speakers.set(node, isFault ? FAULT_LASTS : Math.max(0, (speakers.get(node) ?? 0) - 1))
  }

  #separate (text: string): string {
    return this.#told === '' ? text : PARAGRAPH + text
  }

  * #tell (text: string): Generator<AgentEvent> {
    this.#told += text
    if (this.#options.wantsTokens && text !== '') yield { type: 'token', text }
  }
}

/** Whether a message says what was written: what a step changed before it counted is not the same. */
function isSame ({ text }: Writing, message: BaseMessage): boolean {
  return text === message.text
}
