import type { RunnableConfig } from '@langchain/core/runnables'

/** Where in the threads something is. */
export interface Place {
  readonly threadId: string
  readonly namespace: string
  /** None is the newest. */
  readonly checkpointId: string | undefined
}

/** What LangGraph says in a configuration; undefined for what is not there, or empty. */
export function readConfig (config: RunnableConfig | undefined): { threadId?: string, namespace?: string, checkpointId?: string } {
  const { thread_id: threadId, checkpoint_ns: namespace, checkpoint_id: checkpointId } = config?.configurable ?? {}
  return {
    ...(isText(threadId) && { threadId }),
    ...(typeof namespace === 'string' && { namespace }),
    ...(isText(checkpointId) && { checkpointId })
  }
}

/** The place that a configuration names; throws unless it names a thread. */
export function readPlace (config: RunnableConfig): Place {
  const { threadId, namespace = '', checkpointId } = readConfig(config)
  if (threadId === undefined) throw new TypeError('A checkpoint needs a thread: config.configurable.thread_id is missing')
  return { threadId, namespace, checkpointId }
}

/** The opposite of `readPlace`. */
export function formatConfig (threadId: string, namespace: string, checkpointId: string): RunnableConfig {
  return { configurable: { thread_id: threadId, checkpoint_ns: namespace, checkpoint_id: checkpointId } }
}

function isText (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
