import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { isObject } from './compiled-graph.ts'
import type { Graph } from './graph.ts'
import type { ThreadConfig } from './thread-repair.ts'

const Writes = Type.Object({ pendingWrites: Type.Array(Type.Tuple([Type.String(), Type.String(), Type.Unknown()])) })

/** What is stored of a task that has not ended; everything else, also that it had nothing to write, is there only once it has. */
const UNFINISHED = new Set(['__interrupt__', '__resume__', '__error__', '__error_source_node__', '__scheduled__'])

/**
 * Ids of the tasks of a checkpoint's step that have ended while others wait for an answer. Such a task may have asked before, and its question is
 * stored still; run again, it would do again what it did.
 */
export async function findFinishedTasks ({ checkpointer }: Graph, config: ThreadConfig): Promise<ReadonlySet<string>> {
  if (!isObject(checkpointer) || typeof checkpointer.getTuple !== 'function') return new Set()
  const tuple: unknown = await Reflect.apply(checkpointer.getTuple, checkpointer, [config])
  if (!Value.Check(Writes, tuple)) return new Set()
  return new Set(tuple.pendingWrites.filter(([, channel]) => !UNFINISHED.has(channel)).map(([taskId]) => taskId))
}
