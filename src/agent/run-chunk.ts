/** A piece of what a run streams: the state after a step, or a piece of a message and the step that writes it. */
export interface Chunk {
  readonly state?: unknown
  readonly token?: { readonly message: unknown, readonly node: string, readonly model?: string }
}

/** Reads what LangGraph streams: pairs of a mode and, for `values`, the state, for `messages`, a message and what is known of it. */
export function readChunk (chunk: unknown): Chunk {
  if (!Array.isArray(chunk)) return {}
  const [mode, payload]: unknown[] = chunk
  if (mode === 'values') return { state: payload }
  if (mode !== 'messages' || !Array.isArray(payload)) return {}
  const [message, metadata]: unknown[] = payload
  const { langgraph_node: node = '', ls_model_name: model }: Record<string, unknown> = typeof metadata === 'object' ? { ...metadata } : {}
  return { token: { message, node: String(node), ...(typeof model === 'string' && { model }) } }
}
