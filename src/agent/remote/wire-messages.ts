import { AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage, type BaseMessage } from '@langchain/core/messages'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { isJsonObject, JsonObject } from '../../sessions/session.ts'

const nullable = Type.Optional(Type.Union([Type.String(), Type.Null()]))

/** A message as a LangGraph server sends it: Python's and JavaScript's differ in what they leave out. */
const Wire = Type.Object({
  id: nullable,
  type: Type.Optional(Type.String()),
  role: Type.Optional(Type.String()),
  name: nullable,
  content: Type.Union([Type.String(), Type.Array(Type.Unknown())]),
  tool_calls: Type.Optional(Type.Unknown()),
  tool_call_id: nullable,
  additional_kwargs: Type.Optional(Type.Unknown()),
  response_metadata: Type.Optional(Type.Unknown()),
  usage_metadata: Type.Optional(Type.Unknown())
})
type Wire = Static<typeof Wire>

/** The form in which LangChain serialises its classes. */
const Constructor = Type.Object({ lc: Type.Literal(1), id: Type.Array(Type.String()), kwargs: JsonObject })
const WireCall = Type.Object({ id: nullable, name: Type.String(), args: JsonObject })
const TextBlock = Type.Object({ type: Type.Literal('text'), text: Type.String() })
const Usage = Type.Object({ input_tokens: Type.Number(), output_tokens: Type.Number(), total_tokens: Type.Number() })
const Step = Type.Object({ langgraph_node: Type.Optional(Type.String()), ls_model_name: Type.Optional(Type.Unknown()) })
const Piece = Type.Tuple([Type.Unknown(), Step])

/** A message of a thread on a LangGraph server. */
export interface RemoteMessage {
  /** Its text, its calls, and whose it is: what is needed of it here. */
  readonly message: BaseMessage
  /** As it came, to be sent back whole. */
  readonly wire: JsonObject
}

/** The messages of a graph's state; undefined where there is no such channel. */
export function readRemoteMessages (values: unknown): RemoteMessage[] | undefined {
  if (!isJsonObject(values) || !Array.isArray(values.messages)) return undefined
  return values.messages.flatMap((value, index) => {
    const wire = readWire(value)
    // Graphs that only append give some of their messages no id.
    return wire === undefined ? [] : { message: reviveMessage({ ...wire, id: wire.id ?? `message-${index}` }), wire }
  })
}

/** A piece of a message that a model writes, the step that it writes in and its name; undefined for everything else that comes between. */
export function readPiece (data: unknown): { chunk: AIMessageChunk, node: string, model?: string } | undefined {
  if (!Value.Check(Piece, data)) return undefined
  const [value, { langgraph_node: node = '', ls_model_name: model }] = data
  const wire = readWire(value)
  // JavaScript calls pieces and whole messages the same.
  if (wire === undefined || readKind(wire) !== 'ai' || !(wire.type?.endsWith('Chunk') === true || 'tool_call_chunks' in wire)) return undefined
  return { chunk: new AIMessageChunk({ content: readText(wire.content), ...readId(wire) }), node, ...(typeof model === 'string' && { model }) }
}

/** A message of ours as both Python and JavaScript take it. */
export function formatToolMessage (message: ToolMessage): JsonObject {
  const { id, name, tool_call_id: toolCallId, status, additional_kwargs: extra, text } = message
  return { type: 'tool', id, name, tool_call_id: toolCallId, status, additional_kwargs: extra, content: text }
}

function readWire (value: unknown): (Wire & JsonObject) | undefined {
  const wire = Value.Check(Constructor, value) ? { ...value.kwargs, type: value.id.at(-1) } : value
  return isJsonObject(wire) && Value.Check(Wire, wire) ? wire : undefined
}

function reviveMessage (wire: Wire): BaseMessage {
  const fields = { content: readText(wire.content), ...readId(wire), ...(typeof wire.name === 'string' && { name: wire.name }) }
  const extra = isJsonObject(wire.additional_kwargs) ? wire.additional_kwargs : {}
  switch (readKind(wire)) {
    case 'human': return new HumanMessage(fields)
    case 'tool': return new ToolMessage({ ...fields, tool_call_id: wire.tool_call_id ?? '', additional_kwargs: extra })
    case 'ai': return Object.assign(new AIMessage({ ...fields, tool_calls: readCalls(wire.tool_calls) }), {
      ...(isJsonObject(wire.response_metadata) && { response_metadata: wire.response_metadata }),
      ...(Value.Check(Usage, wire.usage_metadata) && { usage_metadata: wire.usage_metadata })
    })
    // No person is shown those.
    case 'other': return new SystemMessage(fields)
  }
}

function readKind ({ type, role }: Wire): 'human' | 'ai' | 'tool' | 'other' {
  switch ((type ?? role ?? '').replace(/Message(Chunk)?$/, '').toLowerCase()) {
    case 'human': case 'user': return 'human'
    case 'ai': case 'assistant': return 'ai'
    case 'tool': return 'tool'
    default: return 'other'
  }
}

function readId ({ id }: Wire): { id?: string } {
  return typeof id === 'string' ? { id } : {}
}

function readCalls (calls: unknown) {
  if (!Array.isArray(calls)) return []
  return calls.flatMap(call => Value.Check(WireCall, call) ? { id: call.id ?? '', name: call.name, args: call.args, type: 'tool_call' as const } : [])
}

function readText (content: Wire['content']): string {
  if (typeof content === 'string') return content
  return content.map(block => typeof block === 'string' ? block : Value.Check(TextBlock, block) ? block.text : '').join('')
}
