import { randomUUID } from 'node:crypto'
import type { CallbackManagerForLLMRun } from '@langchain/core/callbacks/manager'
import { BaseChatModel, type BaseChatModelCallOptions, type BindToolsInput } from '@langchain/core/language_models/chat_models'
import { AIMessage, AIMessageChunk, ToolMessage, type BaseMessage } from '@langchain/core/messages'
import { ChatGenerationChunk, type ChatResult } from '@langchain/core/outputs'

const HINT = '(This is the offline model: it only echoes. Set MODEL, for example MODEL=openai:gpt-5-mini, to talk to a real one.)'
const SIGNATURE = '(offline model)'

/** After so many words, others get their turn: no network makes this model wait, and a long answer would hold the process to its end. */
const WORDS_AT_ONCE = 32

interface Reply {
  readonly text: string
  readonly toolCall?: { readonly name: string, readonly args: Record<string, string> }
}

interface OfflineCallOptions extends BaseChatModelCallOptions {
  toolNames?: string[]
}

/**
 * The model used when none is configured, so that the whole path, approvals included, runs on a fresh machine with no key.
 *
 * *Promise.* `note: <text>` calls `save_note`, `notes` calls `list_notes`, `what time is it?` calls `current_time`, `what did I say first?` quotes
 * the thread's first message, anything else is echoed as `You said: <text>`. Every answer says that it is offline. It streams word by word,
 * with no delay, and needs no network.
 *
 * *Not promised.* Understanding.
 */
export class OfflineModel extends BaseChatModel<OfflineCallOptions> {
  constructor () {
    super({})
  }

  override _llmType (): string {
    return 'offline'
  }

  override bindTools (tools: BindToolsInput[], kwargs?: Partial<OfflineCallOptions>) {
    const toolNames = tools.flatMap(tool => 'name' in tool && typeof tool.name === 'string' ? [tool.name] : [])
    return this.withConfig({ ...kwargs, toolNames })
  }

  override async _generate (messages: BaseMessage[], options: this['ParsedCallOptions']): Promise<ChatResult> {
    const { text, toolCall } = composeReply(messages, options.toolNames ?? [])
    const message = new AIMessage({
      content: text,
      tool_calls: toolCall === undefined ? [] : [{ ...toolCall, id: newToolCallId(), type: 'tool_call' }],
      response_metadata: { model_name: 'offline' }
    })
    return { generations: [{ text, message }] }
  }

  override async * _streamResponseChunks (
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun
  ): AsyncGenerator<ChatGenerationChunk> {
    const { text, toolCall } = composeReply(messages, options.toolNames ?? [])
    // Once: the pieces of a message are joined, its name among them.
    yield new ChatGenerationChunk({ text: '', message: new AIMessageChunk({ content: '', response_metadata: { model_name: 'offline' } }) })
    for (const [index, word] of text.split(/(?<=\s)(?=\S)/).entries()) {
      if (word === '') continue
      if (index % WORDS_AT_ONCE === WORDS_AT_ONCE - 1) await new Promise(resolve => setImmediate(resolve))
      yield new ChatGenerationChunk({ text: word, message: new AIMessageChunk({ content: word }) })
      await runManager?.handleLLMNewToken(word)
    }
    if (toolCall === undefined) return
    const call = { name: toolCall.name, args: JSON.stringify(toolCall.args), id: newToolCallId(), index: 0, type: 'tool_call_chunk' as const }
    yield new ChatGenerationChunk({
      text: '',
      message: new AIMessageChunk({ content: '', tool_call_chunks: [call] })
    })
  }
}

function composeReply (messages: BaseMessage[], toolNames: readonly string[]): Reply {
  const results = resultsAtEnd(messages)
  if (results.length > 0) return { text: `${results.map(describeResult).join('\n')}\n${SIGNATURE}` }

  const text = messages.at(-1)?.text ?? ''
  const note = /^\s*note:\s*(.+)$/is.exec(text)?.[1]?.trim()
  if (note !== undefined && toolNames.includes('save_note')) return { text: '', toolCall: { name: 'save_note', args: { text: note } } }

  const command = text.trim().toLowerCase()
  if (command === 'notes' && toolNames.includes('list_notes')) return { text: '', toolCall: { name: 'list_notes', args: {} } }
  if (/^what time is it\??$/.test(command) && toolNames.includes('current_time')) return { text: '', toolCall: { name: 'current_time', args: {} } }
  if (/^what did i say first\??$/.test(command)) {
    const first = messages.find(message => message.type === 'human')?.text ?? ''
    return { text: `You said first: "${first}"\n${SIGNATURE}` }
  }
  return { text: `You said: ${text}\n${HINT}` }
}

/** The tool results that nobody has answered yet. */
function resultsAtEnd (messages: BaseMessage[]): ToolMessage[] {
  const start = messages.findLastIndex(message => !ToolMessage.isInstance(message)) + 1
  return messages.slice(start).filter(message => ToolMessage.isInstance(message))
}

function describeResult (result: ToolMessage): string {
  if (result.status === 'error') return `Not done (${result.name ?? 'tool'}): ${result.text}`
  switch (result.name) {
    case 'list_notes': return /^\d/.test(result.text) ? `Your notes:\n${result.text}` : result.text
    case 'current_time': return `It is ${result.text}.`
    default: return result.text
  }
}

function newToolCallId (): string {
  return `call_${randomUUID()}`
}
