import type { Item, ListNamespacesOperation, MatchCondition } from '@langchain/langgraph-checkpoint'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

const ItemValue = Type.Record(Type.String(), Type.Unknown())

/** Ends every label of a namespace, so that a prefix of labels is a prefix of the text; its successor bounds the range. */
const LABEL_END = '\u001f'
const AFTER_LABEL_END = '\u0020'

/** An item of LangGraph's long-term memory as it lies in a table: the labels of its namespace are one text. */
export interface ItemRow {
  readonly namespace: string
  readonly key: string
  /** JSON. */
  readonly value: string
  readonly createdMs: number
  readonly updatedMs: number
}

/** The labels as one text; the opposite of `parseNamespace`. */
export function formatNamespace (labels: readonly string[]): string {
  return labels.map(label => label.replaceAll(LABEL_END, '') + LABEL_END).join('')
}

export function parseNamespace (path: string): string[] {
  return path.split(LABEL_END).slice(0, -1)
}

/**
 * Which texts, by their code points, begin with these labels: from the first one on, and before the second one. Undefined for no labels, with which
 * all begin.
 *
 * A label is met as a whole: who looks for the notes of one person does not find those of another, whose id begins like that.
 */
export function boundNamespaces (labels: readonly string[]): readonly [from: string, before: string] | undefined {
  const path = formatNamespace(labels)
  return path === '' ? undefined : [path, path.slice(0, -1) + AFTER_LABEL_END]
}

/** Makes an item of its row; throws if its value is none. */
export function parseItem ({ namespace, key, value, createdMs, updatedMs }: ItemRow): Item {
  return {
    namespace: parseNamespace(namespace),
    key,
    value: Value.Parse(ItemValue, JSON.parse(value)),
    createdAt: new Date(createdMs),
    updatedAt: new Date(updatedMs)
  }
}

/** Answers the question which namespaces there are; `paths` are those of all items, each once, in order. */
export function selectNamespaces (paths: Iterable<string>, { matchConditions = [], maxDepth, limit, offset }: ListNamespacesOperation): string[][] {
  const selected = new Map<string, string[]>()
  for (const path of paths) {
    const labels = parseNamespace(path)
    if (!matchConditions.every(condition => matchesNamespace(labels, condition))) continue
    const cut = maxDepth === undefined ? labels : labels.slice(0, maxDepth)
    selected.set(formatNamespace(cut), cut)
  }
  return [...selected.values()].slice(offset, offset + limit)
}

/** Whether a value has what LangGraph's filter asks for. */
export function matchesFilter (value: Readonly<Record<string, unknown>>, filter: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(filter).every(([field, expected]) => matchesCondition(value[field], expected))
}

function matchesNamespace (labels: readonly string[], { matchType, path }: MatchCondition): boolean {
  if (labels.length < path.length) return false
  const part = matchType === 'prefix' ? labels.slice(0, path.length) : labels.slice(labels.length - path.length)
  return path.every((label, index) => label === '*' || label === part[index])
}

/** LangGraph's filters: a value to equal, or an object of `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`. */
function matchesCondition (actual: unknown, expected: unknown): boolean {
  if (typeof expected !== 'object' || expected === null || !Object.keys(expected).some(key => key.startsWith('$'))) {
    return JSON.stringify(actual) === JSON.stringify(expected)
  }
  return Object.entries(expected).every(([operator, operand]) => {
    switch (operator) {
      case '$eq': return JSON.stringify(actual) === JSON.stringify(operand)
      case '$ne': return JSON.stringify(actual) !== JSON.stringify(operand)
      case '$gt': return Number(actual) > Number(operand)
      case '$gte': return Number(actual) >= Number(operand)
      case '$lt': return Number(actual) < Number(operand)
      case '$lte': return Number(actual) <= Number(operand)
      default: throw new Error(`The filter operator must be one of $eq, $ne, $gt, $gte, $lt, $lte, received ${operator}`)
    }
  })
}
