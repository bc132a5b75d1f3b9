import { isDeepStrictEqual } from 'node:util'
import type { CheckpointListOptions, CheckpointMetadata } from '@langchain/langgraph-checkpoint'

/** Whether a filter asks for anything: what is undefined in it is not asked about. */
export function isFiltering (filter: CheckpointListOptions['filter']): boolean {
  return Object.values(filter ?? {}).some(value => value !== undefined)
}

/** Whether the details of a checkpoint are those that a filter asks for. */
export function hasDetails (metadata: CheckpointMetadata | undefined, filter: CheckpointListOptions['filter']): boolean {
  const details = new Map<string, unknown>(Object.entries(metadata ?? {}))
  return Object.entries(filter ?? {}).every(([key, value]) => value === undefined || isDeepStrictEqual(details.get(key), value))
}

/** Whether a checkpoint holds changes of a channel only, and needs its parents for the value. */
export function hasOpenDeltas ({ counters_since_delta_snapshot: counters = {} }: CheckpointMetadata): boolean {
  return Object.values(counters).some(([updates]) => updates > 0)
}
