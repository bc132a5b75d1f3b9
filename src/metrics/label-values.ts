/** Everything beyond the bound. */
export const OTHER = 'other'

/** Characters of one value. */
const MAX_LENGTH = 100

/**
 * The values of a label that clients choose.
 *
 * *Promise.* There are never more than `max` of them, and `other`, which is what comes when all are taken. A value keeps its name for as long as the
 * process lives, so that a series goes on.
 */
export class LabelValues {
  readonly #max: number
  readonly #known: Set<string>

  /** @param known Those that are there from the start. */
  constructor (max: number, known: Iterable<string> = []) {
    this.#max = max
    this.#known = new Set(known)
  }

  /** The value itself, or `other`. */
  take (value: string): string {
    if (this.#known.has(value)) return value
    if (this.#known.size >= this.#max || value.length > MAX_LENGTH) return OTHER
    this.#known.add(value)
    return value
  }

  /** All there are now. */
  list (): string[] {
    return [...this.#known]
  }
}
