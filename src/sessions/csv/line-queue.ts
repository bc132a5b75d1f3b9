import type { Line } from './lines.ts'

/** The lines of a file one after another, of which the next ones can be looked at before they are taken. */
export class LineQueue {
  readonly #blocks: AsyncIterator<readonly Line[]> | Iterator<readonly Line[]>
  #lines: readonly Line[] = []
  #next = 0

  constructor (blocks: AsyncIterable<readonly Line[]> | Iterable<readonly Line[]>) {
    this.#blocks = Symbol.asyncIterator in blocks ? blocks[Symbol.asyncIterator]() : blocks[Symbol.iterator]()
  }

  /** The next lines, at most `count`; fewer only at the end of the file. */
  async peek (count: number): Promise<readonly Line[]> {
    while (this.#lines.length - this.#next < count) {
      const { done, value } = await this.#blocks.next()
      if (done === true) break
      this.#lines = [...this.#lines.slice(this.#next), ...value]
      this.#next = 0
    }
    return this.#lines.slice(this.#next, this.#next + count)
  }

  skip (count: number): void {
    this.#next += count
  }
}
