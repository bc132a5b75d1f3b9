import { DIGEST_BYTES, digestItem } from '../checkpoints/digest.ts'

/** Characters of a reference: base64url without padding. */
export const REF_LENGTH = Math.ceil(DIGEST_BYTES * 4 / 3)

/** What an item is called: by what it is. No other replica, and no server that lost its last writes, can make the name mean something else. */
export function nameItem (value: Uint8Array): string {
  return digestItem(value).toString('base64url')
}

/** The references of a list as one text; the opposite of `splitRefs`. */
export function joinRefs (refs: readonly string[]): string {
  return refs.join('')
}

export function splitRefs (text: string): string[] {
  return Array.from({ length: text.length / REF_LENGTH }, (_, index) => text.slice(index * REF_LENGTH, (index + 1) * REF_LENGTH))
}
