import { createHash } from 'node:crypto'

/** Of SHA-256: two values of one thread that have these bytes in common do not turn up. */
export const DIGEST_BYTES = 16

/** What tells an item of a thread from every other one: the beginning of the hash of how it is written. */
export function digestItem (value: Uint8Array): Buffer {
  return createHash('sha256').update(value).digest().subarray(0, DIGEST_BYTES)
}
