import { basename, isAbsolute } from 'node:path'
import type { Environment } from '../config.ts'
import { ServiceError } from '../errors.ts'
import type { GraphSource } from './graph-spec.ts'
import { readGraphList, type GraphList } from './langgraph-json.ts'

/** The settings that say which agent. */
export interface ChoiceOptions {
  /** `AGENT`. */
  readonly agent?: string | undefined
  /** `LANGGRAPH_CONFIG`. */
  readonly langgraphConfig?: string | undefined
  /** `LANGGRAPH_GRAPH`. */
  readonly langgraphGraph?: string | undefined
  /** `LANGGRAPH_URL`. */
  readonly langgraphUrl?: string | undefined
  /** `LANGGRAPH_ASSISTANT_ID`. */
  readonly langgraphAssistantId?: string
  /** `LANGGRAPH_API_KEY`. */
  readonly langgraphApiKey?: string | undefined
}

/** Which agent it is to be. */
export type AgentChoice =
  | { readonly kind: 'built-in' }
  | { readonly kind: 'remote', readonly url: string, readonly assistantId: string, readonly apiKey: string | undefined }
  | { readonly kind: 'graph', readonly source: GraphSource, readonly variables: Environment }

/** Where LangGraph's CLI looks as well. */
const LIST_NAME = 'langgraph.json'

/** A server or a module beats `langgraph.json`, which beats the built-in agent. Throws SETTING_INVALID for what contradicts itself. */
export function chooseAgent (options: ChoiceOptions): AgentChoice {
  const { agent, langgraphConfig, langgraphGraph, langgraphUrl, langgraphAssistantId = 'agent', langgraphApiKey } = options
  if (agent !== undefined && langgraphUrl !== undefined) {
    throw refuse('AGENT and LANGGRAPH_URL must not both be set: the first runs an agent here, the second one on a LangGraph server')
  }
  if (langgraphUrl !== undefined) return { kind: 'remote', url: langgraphUrl, assistantId: langgraphAssistantId, apiKey: langgraphApiKey }
  if (agent !== undefined) return { kind: 'graph', source: { setting: 'AGENT', spec: agent, folder: '.', name: describePath(agent) }, variables: {} }
  const path = langgraphConfig ?? LIST_NAME
  const list = readGraphList(path)
  if (list !== undefined) return { kind: 'graph', source: pickGraph(path, list, langgraphGraph), variables: list.variables }
  if (langgraphConfig !== undefined) throw refuse(`LANGGRAPH_CONFIG must be a file, received ${JSON.stringify(langgraphConfig)}: there is none`)
  if (langgraphGraph !== undefined) throw refuse(`LANGGRAPH_GRAPH must be left out: there is no ${LIST_NAME} here whose graph it could name`)
  return { kind: 'built-in' }
}

/** `/health` shows it to anybody, whom the folders of this machine do not concern. */
function describePath (agent: string): string {
  return isAbsolute(agent) ? basename(agent) : agent
}

function pickGraph (path: string, { folder, graphs }: GraphList, chosen: string | undefined): GraphSource {
  const names = [...graphs.keys()]
  const name = chosen ?? (names.length === 1 ? names[0] : undefined)
  const spec = name === undefined ? undefined : graphs.get(name)
  if (name !== undefined && spec !== undefined) return { setting: `${name} in ${path}`, spec, folder, name }
  throw refuse(`LANGGRAPH_GRAPH must be one of the graphs in ${path} (${names.join(', ')}), received ${chosen === undefined ? 'nothing' : JSON.stringify(chosen)}`)
}

function refuse (message: string): ServiceError {
  return new ServiceError('SETTING_INVALID', { message })
}
