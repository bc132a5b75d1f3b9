import type { SerializerProtocol } from '@langchain/langgraph-checkpoint'
import { isList } from './draft.ts'
import type { ItemMemoryOptions } from './item-memory.ts'
import { isUnchanged, takeShape, type Shape } from './shape.ts'

/** What a shape and the object itself take beside their text. */
const BYTES_PER_ITEM = 3000
/** Text is held as it is, and as what was made of it. */
const BYTES_PER_TEXT_UNIT = 4

interface Known {
  readonly text: string
  readonly shape: Shape
}

/**
 * The values of one thread, of which lists, such as the messages, are revived and written item by item: what was revived before is there already,
 * which is most of a long conversation, and LangGraph's revival is what costs the most of a turn of it.
 *
 * *Promise.* What is read is what LangGraph's serializer would read, and what it would write is written. An item is known by its text alone, so that
 * it does not matter who else writes the thread. No object is given for its text, or its text taken for it, once it has changed.
 *
 * *Not promised.* That two states of a thread share nothing: they may hold the same message object, as two states of one run do.
 */
export class ThreadValues {
  readonly #serde: SerializerProtocol
  readonly #byText = new Map<string, Known>()
  readonly #byObject = new WeakMap<object, Known>()
  #bytes = 0

  constructor (serde: SerializerProtocol) {
    this.#serde = serde
  }

  /** About how much memory this takes. */
  get bytes (): number {
    return this.#bytes
  }

  /** Nothing is awaited before the value is written down: whoever holds it may change it at once. */
  async dump (value: unknown): Promise<[type: string, data: Uint8Array]> {
    if (!isList(value)) return await this.#serde.dumpsTyped(value)
    const texts = value.map(item => this.#textOf(item))
    return ['json', new TextEncoder().encode(`[${(await Promise.all(texts)).join(',')}]`)]
  }

  async load (type: string, data: Uint8Array): Promise<unknown> {
    if (type !== 'json') return await this.#serde.loadsTyped(type, data)
    const text = new TextDecoder().decode(data)
    if (!text.startsWith('[')) return await this.#serde.loadsTyped(type, text)
    const raw: unknown = JSON.parse(text)
    if (!isList(raw)) return await this.#serde.loadsTyped(type, text)
    const given = new Set<object>()
    return await Promise.all(raw.map(async item => await this.#revive(JSON.stringify(item), given)))
  }

  async #revive (text: string, given: Set<object>): Promise<unknown> {
    const known = this.#byText.get(text)
    // One object stands at one place: what is there twice is two objects, as it is for every other saver.
    const isRepeated = known !== undefined && given.has(known.shape.object)
    if (known !== undefined && !isRepeated && isUnchanged(known.shape)) {
      given.add(known.shape.object)
      return known.shape.object
    }
    const revived: unknown = await this.#serde.loadsTyped('json', text)
    if (!isRepeated && typeof revived === 'object' && revived !== null) this.#keep(text, revived)
    return revived
  }

  async #textOf (item: object): Promise<string> {
    const known = this.#byObject.get(item)
    if (known !== undefined && isUnchanged(known.shape)) return known.text
    const [, data] = await this.#serde.dumpsTyped(item)
    return new TextDecoder().decode(data)
  }

  #keep (text: string, object: object): void {
    const shape = takeShape(object)
    if (shape === undefined) return
    const known = { text, shape }
    if (!this.#byText.has(text)) this.#bytes += BYTES_PER_ITEM + BYTES_PER_TEXT_UNIT * text.length
    this.#byText.set(text, known)
    this.#byObject.set(object, known)
  }
}

/** The values of the threads that were used last. */
export class ListMemory {
  readonly #serde: SerializerProtocol
  readonly #options: ItemMemoryOptions
  readonly #threads = new Map<string, ThreadValues>()

  constructor (serde: SerializerProtocol, options: ItemMemoryOptions = { maxThreads: 500, maxBytes: 64 * 1024 * 1024 }) {
    this.#serde = serde
    this.#options = options
  }

  /** A thread, which is the one used last from now on; those that were used longest ago go when there is no room for all. */
  open (threadId: string): ThreadValues {
    const values = this.#threads.get(threadId) ?? new ThreadValues(this.#serde)
    this.#threads.delete(threadId)
    this.#threads.set(threadId, values)
    this.#trim()
    return values
  }

  /** Forgets a thread that is gone. */
  drop (threadId: string): void {
    this.#threads.delete(threadId)
  }

  #trim (): void {
    let bytes = 0
    for (const values of this.#threads.values()) bytes += values.bytes
    for (const [threadId, values] of this.#threads) {
      if (bytes <= this.#options.maxBytes && this.#threads.size <= this.#options.maxThreads) return
      bytes -= values.bytes
      this.#threads.delete(threadId)
    }
  }
}
