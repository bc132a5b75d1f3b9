import { currentLease } from '../turn-lease.ts'
import { isCompiledGraph, isObject } from './compiled-graph.ts'
import { listToolSteps } from './graph-tools.ts'

/** Where a run carries its limit: LangGraph hands `configurable` on to every tool, and keeps what starts like this out of its tracing. */
const KEY = '__holdline_tool_calls'

/** Tools that know of limits already. */
const limited = new WeakSet<object>()

/** The tool calls that one run has left. */
export class ToolCallLimit {
  readonly #maxToolCalls: number
  #count = 0

  constructor (maxToolCalls: number) {
    this.#maxToolCalls = maxToolCalls
  }

  /** As a run carries it. */
  get configurable (): Record<string, unknown> {
    return { [KEY]: this }
  }

  /** Takes a call from what is left; throws if nothing is. */
  take (): void {
    if (this.#count >= this.#maxToolCalls) throw new Error(`No more than ${this.#maxToolCalls} tools may be called in one turn (MAX_TOOL_CALLS)`)
    this.#count++
  }
}

/**
 * Lets a graph's tools obey the limit that a run carries, and the lease that it runs under: a call beyond the limit, or without the lease, is refused
 * before it begins, and what becomes of the refusal is up to the graph, which mostly tells its model. Without limit and lease they are what they
 * were. (A callback of LangChain's could do the same, and would cost every run a third of its time.)
 *
 * *Not promised.* A tool that a node calls by itself; LangGraph's own limit of steps ends what goes round in circles.
 */
export function limitTools (graph: unknown): void {
  if (!isCompiledGraph(graph)) return
  for (const step of listToolSteps(graph)) step.tools = step.tools.map(limitTool)
}

function limitTool (tool: unknown): unknown {
  if (!isObject(tool) || typeof tool.invoke !== 'function' || limited.has(tool)) return tool
  const { invoke } = tool
  const guarded = new Proxy(tool, {
    get (target, key) {
      if (key !== 'invoke') return Reflect.get(target, key, target)
      return (input: unknown, config: unknown) => {
        // At once: what a tool does cannot be checked by whoever keeps the lease.
        currentLease()?.check()
        readLimit(config)?.take()
        return Reflect.apply(invoke, target, [input, config])
      }
    }
  })
  limited.add(guarded)
  return guarded
}

function readLimit (config: unknown): ToolCallLimit | undefined {
  const configurable = isObject(config) ? config.configurable : undefined
  const limit = isObject(configurable) ? configurable[KEY] : undefined
  return limit instanceof ToolCallLimit ? limit : undefined
}
