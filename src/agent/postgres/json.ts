/** An escape in JSON that `jsonb` refuses, and the escaped backslashes before it: the character NUL, and half of a surrogate pair. */
const REFUSED = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89ab][0-9a-f]{2}|d[c-f][0-9a-f]{2})/g

/**
 * JSON as `jsonb` takes it: what it cannot keep, which people may well write, becomes the character for what cannot be shown.
 *
 * @param text From `JSON.stringify`, which writes whole surrogate pairs as they are, and escapes halves in small letters.
 */
export function replaceRefused (text: string): string {
  return text.replaceAll(REFUSED, '$1\\ufffd')
}
