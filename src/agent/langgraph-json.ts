import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { mergeEnvironment, type Environment } from '../config.ts'
import { isCoded, ServiceError } from '../errors.ts'

const Word = Type.Union([Type.String(), Type.Number(), Type.Boolean()])

/** The keys that count here of what LangGraph's CLIs read: `graphs` as both write it, `env` as either does. */
const LangGraphJson = Type.Object({
  graphs: Type.Record(Type.String(), Type.Union([Type.String(), Type.Object({ path: Type.String() })]), { minProperties: 1 }),
  // A list names variables that have to be set outside: they are.
  env: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String()), Type.Record(Type.String(), Word)]))
})
type LangGraphJson = Static<typeof LangGraphJson>

/** What a `langgraph.json` says. */
export interface GraphList {
  /** Of the file: paths in it are relative to it. */
  readonly folder: string
  /** Name to `./path.ts:export`. */
  readonly graphs: ReadonlyMap<string, string>
  /** Its `env`: what the graphs find in their process, unless it is set there already. */
  readonly variables: Environment
}

/** Reads the file; undefined if there is none. Throws SETTING_INVALID for any other. */
export function readGraphList (path: string): GraphList | undefined {
  const text = readText(path, path)
  if (text === undefined) return undefined
  const { graphs, env = {} } = parseGraphList(path, text)
  const folder = dirname(resolve(path))
  return {
    folder,
    graphs: new Map(Object.entries(graphs).map(([name, graph]) => [name, typeof graph === 'string' ? graph : graph.path])),
    variables: readVariables(path, folder, env)
  }
}

function parseGraphList (path: string, text: string): LangGraphJson {
  let content: unknown
  try {
    content = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    // Without the error itself: it quotes the text around the fault, which may be a key.
    const [position = 'somewhere'] = /at position \d+/.exec(String(error)) ?? []
    throw refuse(path, `it is not JSON (${position})`)
  }
  if (Value.Check(LangGraphJson, content)) return content
  const problem = Value.Errors(LangGraphJson, content).First()
  throw refuse(path, `${problem?.path.slice(1).replaceAll('/', '.') || 'its content'} is not as LangGraph's CLI reads it`)
}

function readVariables (path: string, folder: string, env: NonNullable<LangGraphJson['env']>): Environment {
  if (Array.isArray(env)) return {}
  if (typeof env !== 'string') return mergeEnvironment('', Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)])))
  const text = readText(path, resolve(folder, env))
  if (text === undefined) throw refuse(path, `env names the file ${env}, and there is none`)
  return mergeEnvironment(text, {})
}

function readText (listPath: string, path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isCoded(error, 'ENOENT')) return undefined
    throw refuse(listPath, `${path} cannot be read (${error instanceof Error ? error.message : String(error)})`, error)
  }
}

function refuse (path: string, reason: string, cause?: unknown): ServiceError {
  const message = `LANGGRAPH_CONFIG must be a langgraph.json, with graphs as {"agent": "./my-agent.ts:graph"}, received ${JSON.stringify(path)}: ${reason}`
  return new ServiceError('SETTING_INVALID', { message: message.replaceAll(/\s+/g, ' '), cause })
}
