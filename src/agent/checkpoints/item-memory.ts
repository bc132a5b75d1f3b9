import { isUnchanged, takeShape, type Shape } from './shape.ts'

/** What a shape and the object itself take beside their text. */
const BYTES_PER_ITEM = 3000
/** Text is held as it is, and for a moment as JSON. */
const BYTES_PER_TEXT_BYTE = 2

/** What an item is called where it is kept: by a number, or by its content. */
export type ItemRef = number | string

interface Known<Ref extends ItemRef> {
  readonly ref: Ref
  readonly shape: Shape
  readonly bytes: number
}

/**
 * The objects of one thread that are known to be equal to what is kept under a reference.
 *
 * *Promise.* No object is taken for its reference, or given for it, once it has changed: whoever holds it may do with it what he likes.
 */
export class ThreadItems<Ref extends ItemRef = number> {
  readonly #byObject = new Map<object, Known<Ref>>()
  /** What came out of where it is kept, and is handed out. */
  readonly #revived = new Map<Ref, Known<Ref>>()
  /** What went in, and may look different once it has come out. */
  readonly #live = new Map<Ref, Known<Ref>>()
  #bytes = 0

  /** About how much memory this takes. */
  get bytes (): number {
    return this.#bytes
  }

  /** The reference of what an object is now. */
  refOf (object: object): Ref | undefined {
    const known = this.#byObject.get(object)
    if (known === undefined || isUnchanged(known.shape)) return known?.ref
    this.#forget(known)
    return undefined
  }

  /** An object that was revived from what has this reference, and is still as it was then. */
  revived (ref: Ref): object | undefined {
    const known = this.#revived.get(ref)
    if (known === undefined || isUnchanged(known.shape)) return known?.shape.object
    this.#forget(known)
    return undefined
  }

  /** Notes an object that came out. It takes the place of one that went in, whose run is over. */
  keepRevived (ref: Ref, object: object, textBytes: number): void {
    const shape = takeShape(object)
    if (shape === undefined) return
    for (const known of [this.#live.get(ref), this.#revived.get(ref)]) if (known !== undefined) this.#forget(known)
    this.#revived.set(ref, this.#note(ref, shape, textBytes))
  }

  /** Notes an object that went in, with the shape that it had then. */
  keepLive (ref: Ref, shape: Shape, textBytes: number): void {
    const before = this.#live.get(ref)
    if (before !== undefined) this.#forget(before)
    this.#live.set(ref, this.#note(ref, shape, textBytes))
  }

  /** A copy that knows nothing of some references. Who still has this one may go on with it. */
  without (refs: ReadonlySet<Ref>): ThreadItems<Ref> {
    const copy = new ThreadItems<Ref>()
    for (const [from, to] of [[this.#revived, copy.#revived], [this.#live, copy.#live]] as const) {
      for (const [ref, known] of from) {
        if (refs.has(ref)) continue
        to.set(ref, known)
        copy.#byObject.set(known.shape.object, known)
        copy.#bytes += known.bytes
      }
    }
    return copy
  }

  #note (ref: Ref, shape: Shape, textBytes: number): Known<Ref> {
    const known = { ref, shape, bytes: BYTES_PER_ITEM + BYTES_PER_TEXT_BYTE * textBytes }
    const before = this.#byObject.get(shape.object)
    if (before !== undefined) this.#forget(before)
    this.#byObject.set(shape.object, known)
    this.#bytes += known.bytes
    return known
  }

  #forget (known: Known<Ref>): void {
    const { ref, shape: { object } } = known
    if (this.#byObject.get(object) === known) this.#byObject.delete(object)
    for (const place of [this.#revived, this.#live]) {
      if (place.get(ref) !== known) continue
      place.delete(ref)
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
export class ItemMemory<Ref extends ItemRef = number> {
  readonly #options: ItemMemoryOptions
  readonly #threads = new Map<string, ThreadItems<Ref>>()

  constructor (options: ItemMemoryOptions) {
    this.#options = options
  }

  /** What is known of a thread, which is the one used last from now on. */
  open (threadId: string): ThreadItems<Ref> {
    const items = this.#threads.get(threadId) ?? new ThreadItems<Ref>()
    this.#threads.delete(threadId)
    this.#threads.set(threadId, items)
    return items
  }

  /** Forgets some references of a thread, which may come to mean something else. */
  forget (threadId: string, refs: readonly Ref[]): void {
    const items = this.#threads.get(threadId)
    if (items !== undefined && refs.length > 0) this.#threads.set(threadId, items.without(new Set(refs)))
  }

  /** Forgets a thread: references may come to mean something else. */
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
