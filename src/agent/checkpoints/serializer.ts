import { randomUUID } from 'node:crypto'
import { DeltaSnapshot, isDeltaSnapshot, JsonPlusSerializer } from '@langchain/langgraph-checkpoint'

/** LangChain's wrapping, within its own objects, of a person's object that has a key `lc`. */
const ESCAPED = '__lc_escaped__'

/** The key that LangGraph takes for an order to make an object, and what it is called while it lies in the file. */
const RESERVED = /^~*lc$/
const RENAMED = /^~+lc$/
const RENAMED_IN_TEXT = '~lc"'

/**
 * LangGraph's JSON for what is in a checkpoint, without its trap: an object of a person's, or of a model's, that has a key `lc` is revived as the
 * object that it was.
 *
 * *Promise.* Such an object is never taken for an order to make one, and does not make its thread unreadable. Everything else is written and revived
 * as LangGraph does, and what LangGraph wrote is read.
 *
 * *Not promised.* That a record which LangGraph wrote before for such an object outside a message can be told from an order.
 */
export class SafeSerializer extends JsonPlusSerializer {
  override async dumpsTyped (value: unknown): Promise<[string, Uint8Array]> {
    // Before anything is awaited: what is written is the value at the call.
    return await super.dumpsTyped(hasReserved(value, new Set()) ? renameReserved(value, []) : value)
  }

  override async loadsTyped (type: string, data: Uint8Array | string): Promise<unknown> {
    if (type !== 'json') return await super.loadsTyped(type, data)
    const text = typeof data === 'string' ? data : new TextDecoder().decode(data)
    const value = text.includes(ESCAPED) ? await this.#loadEscaped(text) : await super.loadsTyped(type, text)
    return text.includes(RENAMED_IN_TEXT) ? restoreReserved(value) : value
  }

  /** LangGraph revives from the innermost value outwards, and so what is wrapped before it sees the wrapping: it is taken out meanwhile. */
  async #loadEscaped (text: string): Promise<unknown> {
    const held: unknown[] = []
    const mark = `held_${randomUUID()}`
    const tree = holdEscaped(JSON.parse(text), false, value => ({ [mark]: held.push(value) - 1 }))
    const root = { value: await super.loadsTyped('json', JSON.stringify(tree)) }
    putBack(root, mark, held, new Set())
    return root.value
  }
}

/** Whether there is a reserved key outside a message: messages see to what is in them by themselves. */
function hasReserved (value: unknown, seen: Set<object>): boolean {
  if (typeof value !== 'object' || value === null || seen.has(value) || 'lc_serializable' in value) return false
  seen.add(value)
  if (value instanceof Map || value instanceof Set) return Array.from(value).some(inner => hasReserved(inner, seen))
  for (const key of Object.keys(value)) {
    if (RESERVED.test(key) || hasReserved(Reflect.get(value, key), seen)) return true
  }
  return false
}

/** A copy with other names for the reserved key. */
function renameReserved (value: unknown, above: readonly object[]): unknown {
  // Into a circle goes LangGraph, which knows how to write it.
  if (typeof value !== 'object' || value === null || above.includes(value)) return value
  const rename = (inner: unknown) => renameReserved(inner, [...above, value])
  if (Array.isArray(value)) return value.map(rename)
  if (value instanceof Map) return new Map(Array.from(value, ([key, inner]) => [rename(key), rename(inner)]))
  if (value instanceof Set) return new Set(Array.from(value, rename))
  if (isDeltaSnapshot(value)) return new DeltaSnapshot(rename(value.value))
  if ('lg_name' in value && value.lg_name === 'Send' && 'node' in value && 'args' in value) {
    return { node: value.node, args: rename(value.args), ...('timeout' in value && value.timeout !== undefined && { timeout: value.timeout }) }
  }
  if ('lc_serializable' in value || !isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [RESERVED.test(key) ? `~${key}` : key, rename(inner)]))
}

function restoreReserved (value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(restoreReserved)
  if (value instanceof Map) return new Map(Array.from(value, ([key, inner]) => [restoreReserved(key), restoreReserved(inner)]))
  if (value instanceof Set) return new Set(Array.from(value, restoreReserved))
  if (isDeltaSnapshot(value)) return new DeltaSnapshot(restoreReserved(value.value))
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [RENAMED.test(key) ? key.slice(1) : key, restoreReserved(inner)]))
}

function isRecord (value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

function holdEscaped (value: unknown, isInObject: boolean, hold: (value: unknown) => object): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(inner => holdEscaped(inner, isInObject, hold))
  const entries: Array<[string, unknown]> = Object.entries(value)
  const [first] = entries
  if (isInObject && entries.length === 1 && first?.[0] === ESCAPED) return hold(first[1])
  const isObject = isInObject || ('lc' in value && value.lc === 1 && 'type' in value && value.type === 'constructor')
  return Object.fromEntries(entries.map(([key, inner]) => [key, holdEscaped(inner, isObject, hold)]))
}

function putBack (holder: object, mark: string, held: readonly unknown[], seen: Set<object>): void {
  seen.add(holder)
  for (const [key, value] of Object.entries(holder)) {
    if (typeof value !== 'object' || value === null || seen.has(value)) continue
    const index: unknown = Reflect.get(value, mark)
    if (typeof index === 'number') Reflect.set(holder, key, held[index])
    else putBack(value, mark, held, seen)
  }
}
