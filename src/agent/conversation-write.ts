import type { PendingWrite } from '@langchain/langgraph-checkpoint'
import type { Tracer } from '@opentelemetry/api'
import { withSpan } from '../trace.ts'

/** LangGraph's name for the task that is none: what is written to a thread from outside. */
const NO_TASK = '00000000-0000-0000-0000-000000000000'

/** LangGraph's mark of a task that ended with nothing to write. */
const NO_WRITES = '__no_writes__'

/** How a write is called in a trace: it ends when it is durable. */
const WRITE = { name: 'conversation write' }

/** Runs a write of a checkpoint, or beside one, within a span of its own. */
export async function traceWrite<T> (tracer: Tracer | undefined, write: () => Promise<T>): Promise<T> {
  return await withSpan(tracer, WRITE, write)
}

/**
 * The writes of a task as every checkpointer of ours keeps them: a task that had an answer and ended with nothing to write gets LangGraph's mark for
 * that, which LangGraph itself sets only where there was no answer either. Without it, the task would run again, and do again what it did, as soon
 * as another one beside it has its answer.
 */
export function markEnded (writes: readonly PendingWrite[], taskId: string): PendingWrite[] {
  const hasEnded = taskId !== NO_TASK && writes.length > 0 && writes.every(([channel]) => channel === '__resume__')
  return hasEnded ? [...writes, [NO_WRITES, null]] : [...writes]
}
