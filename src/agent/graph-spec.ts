import { ServiceError } from '../errors.ts'

/** A graph as a setting names it. */
export interface GraphSource {
  /** Who names it: a setting, or a line of `langgraph.json`. */
  readonly setting: string
  /** As it was written, `./my-agent.ts:graph`. */
  readonly spec: string
  /** What its path is relative to. */
  readonly folder: string
  /** What the agent goes by, in the log and in `/health`. */
  readonly name: string
}

/** A file and the name of an export. */
export interface GraphSpec {
  readonly path: string
  readonly exportName: string
}

/** Up to the last `:` is the path, unless what follows belongs to it: the rest of `C:\agents\a.ts`, or of a folder with a colon in its name. */
const SPEC_PATTERN = /^(.+?)(?::([^:/\\.]*))?$/s

/** Reads `./my-agent.ts:graph`; without a name it is the default export. */
export function parseGraphSpec (spec: string): GraphSpec {
  const [, path = spec, name = ''] = SPEC_PATTERN.exec(spec) ?? []
  return { path, exportName: name === '' ? 'default' : name }
}

/** The one line that ends the start because of a graph: who names it, what it may be, what it was, and what is wrong with that. */
export function refuseGraph ({ setting, spec }: GraphSource, reason: string, cause?: unknown): ServiceError {
  const message = `${setting} must be a file and the name of a graph in it, as ./my-agent.ts:graph, received ${JSON.stringify(spec)}: ${reason}`
  return new ServiceError('SETTING_INVALID', { message: message.replaceAll(/\s+/g, ' '), cause })
}
