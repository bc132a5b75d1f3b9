import { createHash } from 'node:crypto'

/** One more than the largest checksum. */
const MODULUS = 1n << 256n

/** How much there is, and what it comes to. */
export interface Sum {
  readonly count: number
  /** 64 hexadecimal digits. */
  readonly sha256: string
}

/**
 * The checksum of a set of texts, whatever their order: the sum of their SHA-256, modulo 2^256.
 *
 * *Promise.* Two sets of the same checksum are the same set, unless somebody went to great lengths. It takes no memory for what it has seen.
 */
export class Checksum {
  #total = 0n
  #count = 0

  add (text: string): void {
    this.#count++
    this.#total = (this.#total + BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)) % MODULUS
  }

  get sum (): Sum {
    return { count: this.#count, sha256: this.#total.toString(16).padStart(64, '0') }
  }
}

/** Whether two sets are the same. */
export function isSameSum (a: Sum, b: Sum): boolean {
  return a.count === b.count && a.sha256 === b.sha256
}
