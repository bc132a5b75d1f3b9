import { isJsonObject, type JsonObject } from '../session.ts'

/**
 * The text of each object that was read from another text than it would be written as. Remembered by identity, since an object never changes in
 * place: what was read is written back verbatim, big integers included, which `JSON.parse` rounds.
 */
const texts = new WeakMap<JsonObject, string>()

/** Characters that are line ends or controls to some tool; in JSON they stand within strings alone. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029]/g

/** One object for all that say nothing. */
const EMPTY: JsonObject = Object.freeze({})

/** Reads a JSON object; empty text and `null` are null. `__proto__` becomes a property like any other. Throws a SyntaxError otherwise. */
export function parseJsonObject (text: string): JsonObject | null {
  if (text === '{}') return EMPTY
  const source = text.trim()
  const value: unknown = source === '' ? null : JSON.parse(source)
  if (value === null) return null
  if (!isJsonObject(value)) throw new SyntaxError('Not a JSON object')
  // A line break outside of strings is white space in JSON, and within them it is not JSON.
  if (Object.keys(value).length > 0 && JSON.stringify(value) !== source) texts.set(value, escape(source.replace(/[\r\n]+/g, ' ')))
  return value
}

/** Writes an object as one line of JSON: as it was read, if it was read. Throws a TypeError if it has no JSON form. */
export function formatJsonObject (value: JsonObject): string {
  const known = texts.get(value)
  if (known !== undefined) return known
  const text = JSON.stringify(value)
  if (!text?.startsWith('{')) throw new TypeError('Not a JSON object')
  return escape(text)
}

function escape (text: string): string {
  return text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
