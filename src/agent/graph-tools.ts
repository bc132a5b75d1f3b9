import type { CheckedTool } from './approvals.ts'
import { isCompiledGraph, isObject, type CompiledGraph } from './compiled-graph.ts'

/** A step that calls tools by LangGraph's own means: `ToolNode`, or that of `createAgent`. */
export interface ToolStep {
  tools: unknown[]
}

/**
 * The tools that a compiled graph calls by LangGraph's own means, in its subgraphs too, so that the arguments of a call can be held against them.
 *
 * *Not promised.* A tool that a node of the user's calls by itself: nobody can see it. Two different tools of one name: the graph knows which is
 * meant, we do not.
 */
export function collectTools (graph: CompiledGraph): CheckedTool[] {
  const found = new Map<string, CheckedTool | undefined>()
  for (const tool of listToolSteps(graph).flatMap(step => step.tools.filter(isCheckedTool))) {
    const known = found.get(tool.name)
    const isAnother = found.has(tool.name) && known?.schema !== tool.schema
    found.set(tool.name, isAnother ? undefined : tool)
  }
  return [...found.values()].filter(tool => tool !== undefined)
}

/** The steps of a graph that call tools, those of its subgraphs included. */
export function listToolSteps (graph: CompiledGraph): ToolStep[] {
  return [...walk(graph, new Set())]
}

function * walk (graph: CompiledGraph, seen: Set<CompiledGraph>): Generator<ToolStep> {
  if (seen.has(graph)) return
  seen.add(graph)
  for (const node of Object.values(graph.nodes).filter(isObject)) {
    const { bound, subgraphs } = node
    if (isToolStep(bound)) yield bound
    const inner: unknown[] = [bound, ...(Array.isArray(subgraphs) ? subgraphs : [])]
    for (const subgraph of inner.filter(isCompiledGraph)) yield * walk(subgraph, seen)
  }
}

function isToolStep (bound: unknown): bound is ToolStep {
  return isObject(bound) && Array.isArray(bound.tools)
}

function isCheckedTool (tool: unknown): tool is CheckedTool {
  return isObject(tool) && typeof tool.name === 'string' && isObject(tool.schema)
}
