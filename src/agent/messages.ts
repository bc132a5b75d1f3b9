import { AIMessage, BaseMessage, mapStoredMessagesToChatMessages, ToolMessage } from '@langchain/core/messages'
import { Value } from '@sinclair/typebox/value'
import { JsonObject } from '../sessions/session.ts'
import type { Message, Usage } from './agent.ts'

/** Whether a message is the agent's. */
export function isAiMessage (message: BaseMessage): message is AIMessage {
  return AIMessage.isInstance(message)
}

/** The messages of a graph's state; none where there is no such channel yet. */
export function readMessages (state: unknown): BaseMessage[] {
  if (typeof state !== 'object' || state === null || !('messages' in state) || !Array.isArray(state.messages)) return []
  return state.messages.flatMap(message => BaseMessage.isInstance(message) ? message : adoptMessage(message) ?? [])
}

/** A message as LangChain before version 1 makes it, which is of no class that we know: a graph may run on packages of its own. */
function adoptMessage (message: unknown): BaseMessage | undefined {
  if (typeof message !== 'object' || message === null || !('toDict' in message) || typeof message.toDict !== 'function') return undefined
  return mapStoredMessagesToChatMessages([message.toDict()])[0]
}

/** A message as a person may see it; undefined for those that are not shown. */
export function formatMessage (message: BaseMessage): Message | undefined {
  const id = message.id ?? ''
  const content = message.text
  if (ToolMessage.isInstance(message)) return { id, role: 'tool', content, toolCalls: [], toolCallId: message.tool_call_id }
  if (isAiMessage(message)) {
    const toolCalls = (message.tool_calls ?? []).map(call => ({ id: call.id ?? '', name: call.name, args: readArgs(call.args) }))
    return { id, role: 'assistant', content, toolCalls }
  }
  if (message.type === 'human') return { id, role: 'user', content, toolCalls: [] }
  return undefined
}

/**
 * The tokens of all these messages together, and the model that wrote the last of them: `heard`, where its provider leaves it out of what it streams.
 */
export function sumUsage (messages: readonly AIMessage[], heard?: string): { model?: string, usage?: Usage } {
  const counted = messages.flatMap(message => message.usage_metadata ?? [])
  const sum = (key: keyof Usage) => counted.reduce((total, one) => total + readCount(one[key]), 0)
  const usage: Usage = { input_tokens: sum('input_tokens'), output_tokens: sum('output_tokens'), total_tokens: sum('total_tokens') }
  const last = messages.at(-1)
  const model = last === undefined ? undefined : readModel(last.response_metadata) ?? heard
  return { ...(model !== undefined && { model }), ...(counted.length > 0 && { usage }) }
}

/** Providers differ in the name that they give it. */
function readModel ({ model_name: name, model }: Record<string, unknown>): string | undefined {
  return [name, model].find(value => typeof value === 'string')
}

/** A graph may write anything into its messages. */
function readCount (count: unknown): number {
  return typeof count === 'number' && Number.isFinite(count) && count > 0 ? count : 0
}

function readArgs (args: unknown): JsonObject {
  return Value.Check(JsonObject, args) ? args : {}
}
