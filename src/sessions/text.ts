/** The first characters of a text, none of them cut in half: half a surrogate pair is no text that a store can keep. */
export function shorten (text: string, maxCharacters: number): string {
  // Of UTF-16 units a character has one or two: only these can be part of the result, however long the text.
  return [...text.slice(0, 2 * maxCharacters)].slice(0, maxCharacters).join('')
}
