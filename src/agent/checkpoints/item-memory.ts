import { isUnchanged, takeShape, type Shape } from './shape.ts'

/** What a shape and the object itself take beside their text. */
const BYTES_PER_ITEM = 3000
/** Text is held as it is, and for a moment as JSON. */
const BYTES_PER_TEXT_BYTE = 2

interface Known {
  readonly number: number
  readonly shape: Shape
  readonly bytes: number
}

/**
 * The objects of one thread that are known to be equal to what the file holds under a number.
 *
 * *Promise.* No object is taken for its number, or given for it, once it has changed: whoever holds it may do with it what he likes.
 */
export class ThreadItems {
  readonly #byObject = new Map<object, Known>()
  /** What came out of the file, and is handed out. */
  readonly #revived = new Map<number, Known>()
  /** What went into the file, and may look different once it has come out. */
  readonly #live = new Map<number, Known>()
  #bytes = 0

  /** About how much memory this takes. */
  get bytes (): number {
    return this.#bytes
  }

  /** The number of what an object is now. */
  numberOf (object: object): number | undefined {
    const known = this.#byObject.get(object)
    if (known === undefined || isUnchanged(known.shape)) return known?.number
    this.#forget(known)
    return undefined
  }

  /** An object that was revived from what has this number, and is still as it was then. */
  revived (number: number): object | undefined {
    const known = this.#revived.get(number)
    if (known === undefined || isUnchanged(known.shape)) return known?.shape.object
    this.#forget(known)
    return undefined
  }

  /** Notes an object that came out of the file. It takes the place of one that went in, whose run is over. */
  keepRevived (number: number, object: object, textBytes: number): void {
    const shape = takeShape(object)
    if (shape === undefined) return
    for (const known of [this.#live.get(number), this.#revived.get(number)]) if (known !== undefined) this.#forget(known)
    this.#revived.set(number, this.#note(number, shape, textBytes))
  }

  /** Notes an object that went into the file, with the shape that it had then. */
  keepLive (number: number, shape: Shape, textBytes: number): void {
    const before = this.#live.get(number)
    if (before !== undefined) this.#forget(before)
    this.#live.set(number, this.#note(number, shape, textBytes))
  }

  /** A copy that knows nothing of some numbers. Who still has this one may go on with it. */
  without (numbers: ReadonlySet<number>): ThreadItems {
    const copy = new ThreadItems()
    for (const [from, to] of [[this.#revived, copy.#revived], [this.#live, copy.#live]] as const) {
      for (const [number, known] of from) {
        if (numbers.has(number)) continue
        to.set(number, known)
        copy.#byObject.set(known.shape.object, known)
        copy.#bytes += known.bytes
      }
    }
    return copy
  }

  #note (number: number, shape: Shape, textBytes: number): Known {
    const known = { number, shape, bytes: BYTES_PER_ITEM + BYTES_PER_TEXT_BYTE * textBytes }
    const before = this.#byObject.get(shape.object)
    if (before !== undefined) this.#forget(before)
    this.#byObject.set(shape.object, known)
    this.#bytes += known.bytes
    return known
  }

  #forget (known: Known): void {
    const { number, shape: { object } } = known
    if (this.#byObject.get(object) === known) this.#byObject.delete(object)
    for (const place of [this.#revived, this.#live]) {
      if (place.get(number) !== known) continue
      place.delete(number)
      this.#bytes -= known.bytes
    }
  }
}

/** How much may be remembered. */
export interface ItemMemoryOptions {
  readonly maxThreads: number
  readonly maxBytes: number
}

/** The items of the threads that were used last. */
export class ItemMemory {
  readonly #options: ItemMemoryOptions
  readonly #threads = new Map<string, ThreadItems>()

  constructor (options: ItemMemoryOptions) {
    this.#options = options
  }

  /** What is known of a thread, which is the one used last from now on. */
  open (threadId: string): ThreadItems {
    const items = this.#threads.get(threadId) ?? new ThreadItems()
    this.#threads.delete(threadId)
    this.#threads.set(threadId, items)
    return items
  }

  /** Forgets some numbers of a thread, which may come to mean something else. */
  forget (threadId: string, numbers: readonly number[]): void {
    const items = this.#threads.get(threadId)
    if (items !== undefined && numbers.length > 0) this.#threads.set(threadId, items.without(new Set(numbers)))
  }

  /** Forgets a thread: numbers may come to mean something else. */
  drop (threadId: string): void {
    this.#threads.delete(threadId)
  }

  /** Forgets the threads that were used longest ago, until all is within its bounds. */
  trim (): void {
    let bytes = 0
    for (const items of this.#threads.values()) bytes += items.bytes
    for (const [threadId, items] of this.#threads) {
      if (bytes <= this.#options.maxBytes && this.#threads.size <= this.#options.maxThreads) return
      bytes -= items.bytes
      this.#threads.delete(threadId)
    }
  }
}
