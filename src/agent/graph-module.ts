import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { createJiti } from 'jiti'
import { isObject, readGraph, type CompiledGraph } from './compiled-graph.ts'
import { parseGraphSpec, refuseGraph, type GraphSource } from './graph-spec.ts'
import { LENT_PACKAGES, lendPackages } from './lent-packages.ts'

/** Long enough for a model that is looked up or a database that is connected to; a promise that nobody keeps must not hold the start for ever. */
const LOAD_TIMEOUT_MS = 30_000

const MODULE_PATTERN = /\.[cm]?[jt]s$/

/** How an agent's module is loaded. */
export interface LoadGraphOptions {
  readonly timeoutMs?: number
}

/**
 * The compiled graph that a module of the user's exports: compiled already, or a builder, or an agent of `createAgent`, or a function that returns
 * one of these, or a promise of it.
 *
 * *Promise.* Throws SETTING_INVALID, in one line that says who names the graph and what is wrong with it, for everything that can be wrong.
 *
 * *Not promised.* That a module which failed leaves nothing behind: what it opened is its own.
 */
export async function loadGraph (source: GraphSource, { timeoutMs = LOAD_TIMEOUT_MS }: LoadGraphOptions = {}): Promise<CompiledGraph> {
  const { path, exportName } = parseGraphSpec(source.spec)
  const file = resolve(source.folder, path)
  if (!MODULE_PATTERN.test(file)) {
    throw refuseGraph(source, 'a graph is TypeScript or JavaScript here; run one in Python under a LangGraph server, and set LANGGRAPH_URL to its address')
  }
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) throw refuseGraph(source, 'there is no such file')
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(refuseGraph(source, `it is not ready after ${timeoutMs / 1000} s`)) }, timeoutMs)
  })
  try {
    return await Promise.race([readExport(source, file, exportName), late])
  } finally {
    clearTimeout(timer)
  }
}

async function readExport (source: GraphSource, file: string, exportName: string): Promise<CompiledGraph> {
  const content = await tell(source, 'it fails when it is loaded', async () => await importModule(file))
  const exported = pickExport(content, exportName)
  if (exported === undefined) throw refuseGraph(source, `it exports no ${exportName}, but ${listExports(content)}`)
  const value = await tell(source, `its ${exportName} fails`, async () => {
    // LangGraph's own server hands the config of a run over; here it is called once, before there is any.
    const made: unknown = typeof exported === 'function' ? Reflect.apply(exported, undefined, [{ configurable: {} }]) : exported
    return await made
  })
  const graph = await tell(source, `its ${exportName} cannot be compiled`, async () => readGraph(value))
  if (graph !== undefined) return graph
  throw refuseGraph(source, `its ${exportName} must be a compiled graph, a StateGraph, an agent of createAgent, or a function that returns one of ` +
    `them, and is ${describeKind(value)}`)
}

/**
 * jiti, because it translates TypeScript whole (enums, decorators, the paths of a `tsconfig.json`), keeps each line where it is, so that a stack
 * trace needs no map, has no dependency, and touches no other module: `tsx` hooks into every import of the process, from a thread of its own.
 */
async function importModule (file: string): Promise<unknown> {
  const jiti = createJiti(file, {
    // What is lent is loaded by Node itself, so that there is one copy of it, from CommonJS too.
    alias: lendPackages(file),
    nativeModules: [...LENT_PACKAGES],
    tsconfigPaths: true,
    interopDefault: false,
    // Neither files of ours beside the user's, nor entries among the modules of the process.
    fsCache: false,
    moduleCache: false
  })
  return await jiti.import(file)
}

function pickExport (content: unknown, exportName: string): unknown {
  // What a CommonJS module has put in the place of its exports, where it was lent packages.
  if (exportName === 'default' && isWhole(content)) return content
  if (!isObject(content)) return undefined
  if (content[exportName] !== undefined) return content[exportName]
  // What a CommonJS module exports is not always seen before it has run: then it is all in the default export.
  const whole = content.default
  return isObject(whole) && Object.hasOwn(whole, exportName) ? whole[exportName] : undefined
}

/** Whether this is something itself, and no object of exports. */
function isWhole (content: unknown): boolean {
  return typeof content === 'function' || (isObject(content) && ![null, Object.prototype].includes(Object.getPrototypeOf(content)))
}

function listExports (content: unknown): string {
  const names = isObject(content) ? Object.keys(content) : []
  return names.length === 0 ? 'nothing at all' : names.join(', ')
}

function describeKind (value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return typeof value === 'object' ? `a ${value.constructor?.name ?? 'bare'} object` : `a ${typeof value}`
}

async function tell<T> (source: GraphSource, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const [line = ''] = String(error).split('\n')
    throw refuseGraph(source, `${what}: ${line.slice(0, 300)}`, error)
  }
}
