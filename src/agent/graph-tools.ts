import type { CheckedTool } from './approvals.ts'
import { isCompiledGraph, isObject, type CompiledGraph } from './compiled-graph.ts'

/**
 * The tools that a compiled graph calls by LangGraph's own means (`ToolNode`, `createAgent`), in its subgraphs too, so that the arguments of a call
 * can be held against them.
 *
 * *Not promised.* A tool that a node of the user's calls by itself: nobody can see it. Two different tools of one name: the graph knows which is
 * meant, we do not.
 */
export function collectTools (graph: CompiledGraph): CheckedTool[] {
  const found = new Map<string, CheckedTool | undefined>()
  for (const tool of listTools(graph, new Set())) {
    const known = found.get(tool.name)
    const isAnother = found.has(tool.name) && known?.schema !== tool.schema
    found.set(tool.name, isAnother ? undefined : tool)
  }
  return [...found.values()].filter(tool => tool !== undefined)
}

function * listTools (graph: CompiledGraph, seen: Set<CompiledGraph>): Generator<CheckedTool> {
  if (seen.has(graph)) return
  seen.add(graph)
  for (const node of Object.values(graph.nodes).filter(isObject)) {
    const { bound, subgraphs } = node
    if (isObject(bound) && Array.isArray(bound.tools)) yield * bound.tools.filter(isCheckedTool)
    const inner: unknown[] = [bound, ...(Array.isArray(subgraphs) ? subgraphs : [])]
    for (const subgraph of inner.filter(isCompiledGraph)) yield * listTools(subgraph, seen)
  }
}

function isCheckedTool (tool: unknown): tool is CheckedTool {
  return isObject(tool) && typeof tool.name === 'string' && isObject(tool.schema)
}
