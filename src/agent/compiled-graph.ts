import type { Graph } from './graph.ts'

/**
 * What of somebody else's compiled graph is used. It may come from another copy of LangGraph than ours, where `instanceof` tells nothing, so it is
 * known by its marks.
 */
export interface CompiledGraph extends Graph {
  readonly config?: unknown
  /** Breakpoints: names of nodes, or `*`. */
  readonly interruptBefore?: string | readonly string[]
  readonly interruptAfter?: string | readonly string[]
  checkpointer?: unknown
  store?: unknown
  withConfig (config: object): unknown
}

const METHODS = ['_streamIterator', 'invoke', 'getState', 'getStateHistory', 'updateState', 'withConfig']

/** Whether a value is a compiled graph, of any copy of LangGraph. */
export function isCompiledGraph (value: unknown): value is CompiledGraph {
  return isObject(value) && value.lg_is_pregel === true && isObject(value.channels) && isObject(value.nodes) &&
    METHODS.every(name => typeof value[name] === 'function')
}

/** The compiled graph that a value is, holds (an agent of `createAgent`), or can be compiled to (a `StateGraph`); undefined if it is none of them. */
export function readGraph (value: unknown): CompiledGraph | undefined {
  if (isCompiledGraph(value)) return value
  if (!isObject(value)) return undefined
  if (isCompiledGraph(value.graph)) return value.graph
  if (typeof value.compile !== 'function') return undefined
  const compiled: unknown = Reflect.apply(value.compile, value, [])
  return isCompiledGraph(compiled) ? compiled : undefined
}

/** Whether a value has properties to look at. */
export function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
