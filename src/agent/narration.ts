import { AIMessageChunk, BaseMessage, type AIMessage } from '@langchain/core/messages'
import type { AgentEvent } from './agent.ts'
import { describeEvents, describeSilence, PARAGRAPH } from './events.ts'
import { isAiMessage, sumUsage } from './messages.ts'

/** A message that a model is writing. */
interface Writing {
  readonly id: string | undefined
  readonly node: string
  text: string
}

/** How a run is told. */
export interface NarrationOptions {
  /** What was in the thread before the run: it is not told. */
  readonly before: readonly BaseMessage[]
  readonly wantsTokens: boolean
  /** Steps of the graph, and whether all that their models write ends up in the thread; see `Narration`. */
  readonly speakers: Map<string, boolean>
}

/**
 * A run of a graph as events.
 *
 * *Promise.* Every message that comes into the thread is told once. The tokens after the last `tool_result`, joined, are the answer's text.
 *
 * A graph may call models for itself, to route or to sum up, and nothing tells their tokens from an answer's before the message is in the thread,
 * or is not. So a step of the graph is told word by word once one of its messages came into the thread (`speakers`, known from earlier runs), and
 * before that in one piece, when it is there. One message at a time is told word by word; what another step writes meanwhile is told when it is
 * there.
 *
 * *Not promised.* The second sentence of the promise in the one run in which a step, known as a speaker, is found to call a model for itself.
 */
export class Narration {
  readonly #options: NarrationOptions
  /** Ids, or, where a graph gives none, the messages themselves. */
  readonly #known = new Set<string | BaseMessage>()
  readonly #written: Writing[] = []
  readonly #said: AIMessage[] = []
  readonly #seen: BaseMessage[] = []
  /** The message that is being told word by word: how much of it was, and the answer without it. */
  #live: { readonly writing: Writing, readonly before: string, told: string } | undefined
  /** The answer so far: what was said since the last result of a tool. */
  #answer = ''

  constructor (options: NarrationOptions) {
    this.#options = options
    for (const message of options.before) this.#known.add(message.id ?? message)
  }

  /** What the agent said in the run. */
  get said (): readonly AIMessage[] {
    return this.#said
  }

  /** The messages that came into the thread in the run, in their order. */
  get seen (): readonly BaseMessage[] {
    return this.#seen
  }

  /** Takes a piece of what a model writes. */
  * hear (chunk: unknown, node: string): Generator<AgentEvent> {
    // What is whole already is told when it is in the thread.
    if (!AIMessageChunk.isInstance(chunk) || chunk.text === '') return
    const { id, text } = chunk
    let writing = this.#written.find(one => one.id === id && one.node === node)
    if (writing === undefined) this.#written.push(writing = { id, node, text: '' })
    writing.text += text
    if (this.#live === undefined && writing.text === text && this.#options.speakers.get(node) === true) {
      this.#live = { writing, before: this.#answer, told: '' }
    }
    if (this.#live?.writing !== writing) return
    yield * this.#tell(this.#live.told === '' ? this.#separate(text) : text)
    this.#live.told += text
  }

  /** Takes the thread's messages as they are now. */
  * see (messages: readonly BaseMessage[]): Generator<AgentEvent> {
    const fresh = this.#takeFresh(messages)
    if (fresh.length === 0) return
    const told = yield * this.#finishLive(fresh)
    for (const message of fresh) {
      this.#seen.push(message)
      if (isAiMessage(message)) {
        this.#said.push(message)
        if (message !== told) yield * this.#tellWhole(message)
      }
      yield * describeEvents(message)
      if (message.type === 'tool') this.#answer = ''
    }
  }

  /** The end of a run that asks nothing. */
  * end (): Generator<AgentEvent> {
    if (this.#live !== undefined) this.#distrust()
    if (this.#answer.trim() === '') yield * this.#tell(describeSilence(this.#seen.at(-1)))
    yield { type: 'answer', text: this.#answer, ...sumUsage(this.#said) }
  }

  #takeFresh (messages: readonly BaseMessage[]): BaseMessage[] {
    const fresh: BaseMessage[] = []
    // From the end: what is new stands there, and a long thread is not looked through for it.
    for (let index = messages.length - 1; index >= 0; index--) {
      const message = messages[index]
      if (message === undefined || this.#known.has(message.id ?? message)) break
      this.#known.add(message.id ?? message)
      fresh.unshift(message)
    }
    return fresh
  }

  /** Tells the rest of the message that is being told, if it is among these, and returns it. */
  * #finishLive (fresh: readonly BaseMessage[]): Generator<AgentEvent, BaseMessage | undefined> {
    const live = this.#live
    if (live === undefined) return undefined
    const message = fresh.find(one => isAiMessage(one) && isSame(live.writing, one))
    if (message === undefined) {
      this.#distrust()
      return undefined
    }
    this.#live = undefined
    this.#written.splice(this.#written.indexOf(live.writing), 1)
    // A step that rewrites what its model said: the message counts, not what was heard of it.
    if (message.text.startsWith(live.told)) yield * this.#tell(message.text.slice(live.told.length))
    else this.#answer = live.before + message.text
    return message
  }

  * #tellWhole (message: AIMessage): Generator<AgentEvent> {
    const index = this.#written.findIndex(writing => isSame(writing, message))
    const [writing] = index < 0 ? [] : this.#written.splice(index, 1)
    if (writing !== undefined && !this.#options.speakers.has(writing.node)) this.#options.speakers.set(writing.node, true)
    if (message.text !== '') yield * this.#tell(this.#separate(message.text))
  }

  /** A step whose model wrote something that did not come into the thread. */
  #distrust (): void {
    if (this.#live === undefined) return
    this.#options.speakers.set(this.#live.writing.node, false)
    this.#answer = this.#live.before
    this.#live = undefined
  }

  #separate (text: string): string {
    return this.#answer === '' ? text : PARAGRAPH + text
  }

  * #tell (text: string): Generator<AgentEvent> {
    this.#answer += text
    if (this.#options.wantsTokens && text !== '') yield { type: 'token', text }
  }
}

function isSame ({ id, text }: Writing, message: BaseMessage): boolean {
  return (id !== undefined && id === message.id) || text === message.text
}
