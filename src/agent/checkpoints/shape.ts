import { BaseMessage } from '@langchain/core/messages'

/** Deeper than any message. */
const MAX_DEPTH = 100

/** An object as it was at one instant, down to the last value in it. It holds references and copies no text. */
export interface Shape {
  readonly object: object
  /** The object, if it is an array. */
  readonly list: readonly unknown[] | undefined
  /** The object, if it is none. */
  readonly record: Readonly<Record<string, unknown>> | undefined
  readonly keys: readonly string[]
  readonly values: readonly unknown[]
  /** The shapes of the objects among the values, each object once in the whole shape. */
  readonly parts: readonly Shape[]
}

/**
 * Takes the shape of an object, so that `isUnchanged` can tell later whether the object is still what it was; undefined where its properties do not
 * tell that: in it is something other than arrays, plain objects, LangChain's messages and values that cannot change.
 */
export function takeShape (object: object): Shape | undefined {
  return take(object, new Set(), 0)
}

/**
 * Whether an object has the same keys in the same order with the same values as when its shape was taken, and so has every object in it.
 *
 * *Promise.* No change that JSON or a reader of its properties could show goes unnoticed. It costs about a microsecond a message.
 *
 * *Not promised.* That an object which looks the same is found unchanged: one whose part was exchanged for an equal one is not. Properties
 * with a symbol for a name are not looked at.
 */
export function isUnchanged ({ list, record, keys, values, parts }: Shape): boolean {
  if (list !== undefined) {
    if (list.length !== values.length) return false
    for (let index = 0; index < values.length; index++) {
      if (list[index] !== values[index]) return false
    }
  } else if (record !== undefined) {
    let index = 0
    for (const key in record) {
      if (key !== keys[index] || record[key] !== values[index]) return false
      index++
    }
    if (index !== keys.length) return false
  }
  for (const part of parts) {
    if (!isUnchanged(part)) return false
  }
  return true
}

function take (object: object, seen: Set<object>, depth: number): Shape | undefined {
  const list = Array.isArray(object) ? object : undefined
  const record = list === undefined && isOpen(object) ? object : undefined
  if (depth > MAX_DEPTH || (list === undefined && record === undefined)) return undefined
  seen.add(object)
  const keys: string[] = []
  // As `isUnchanged` goes through them.
  for (const key in record) keys.push(key)
  const values: unknown[] = list?.slice() ?? keys.map(key => record?.[key])
  const parts: Shape[] = []
  for (const value of values) {
    if (typeof value === 'function') return undefined
    if (typeof value !== 'object' || value === null || seen.has(value)) continue
    const part = take(value, seen, depth + 1)
    if (part === undefined) return undefined
    parts.push(part)
  }
  return { object, list, record, keys, values, parts }
}

/** Whether what an object holds, and how it is written as JSON, depends on its properties alone. */
function isOpen (object: object): object is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype === null || prototype === Object.prototype) return !('toJSON' in object)
  return BaseMessage.isInstance(object) && object.toJSON === BaseMessage.prototype.toJSON && object.lc_attributes === undefined
}
