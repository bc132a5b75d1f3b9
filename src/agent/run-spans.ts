import { BaseCallbackHandler } from '@langchain/core/callbacks/base'
import { context, SpanKind, trace, type Attributes, type Context, type Span, type Tracer } from '@opentelemetry/api'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { markFailure } from '../trace.ts'

/** A name longer than that is no name. */
const MAX_NAME = 100

/** What is looked at in the answer of a model, of whichever copy of LangChain. */
const Answer = Type.Object({
  generations: Type.Array(Type.Array(Type.Object({
    message: Type.Optional(Type.Object({
      usage_metadata: Type.Optional(Type.Object({ input_tokens: Type.Number(), output_tokens: Type.Number() })),
      response_metadata: Type.Optional(Type.Object({ model_name: Type.Optional(Type.String()) }))
    }))
  })))
})

/** How a graph says that it stops to ask, in LangGraph of any version and copy. */
const INTERRUPTS = new Set(['GraphInterrupt', 'NodeInterrupt', 'ParentCommand'])

/**
 * Spans of what a run of a graph calls, told by LangChain: `chat <model>` and `execute_tool <tool>`, after OpenTelemetry's conventions for
 * generative AI. One of them serves one run, made where the span around it is active.
 *
 * *Promise.* Names, token counts and types of errors; nothing of what is said to a model or a tool, or comes back.
 */
export class RunSpans extends BaseCallbackHandler {
  readonly name = 'holdline_run_spans'
  // Told in the moment, not when the queue gets to it: the times would be those of the queue.
  override awaitHandlers = true
  override ignoreRetriever = true
  override ignoreCustomEvent = true
  readonly #tracer: Tracer
  readonly #around = context.active()
  /** Of every step within the run, so that what a tool calls stands below the tool. */
  readonly #contexts = new Map<string, Context>()
  readonly #spans = new Map<string, Span>()

  constructor (tracer: Tracer) {
    super()
    this.#tracer = tracer
  }

  override copy (): this {
    return this
  }

  override handleChainStart (_chain: unknown, _inputs: unknown, stepId: string, ...more: unknown[]): void {
    // Versions of LangChain differ in where they say what it is a step of.
    const parentId = more.find(value => typeof value === 'string' && this.#contexts.has(value))
    this.#contexts.set(stepId, this.#find(parentId))
  }

  override handleChainEnd (_outputs: unknown, stepId: string): void {
    this.#contexts.delete(stepId)
  }

  override handleChainError (_error: unknown, stepId: string): void {
    this.#contexts.delete(stepId)
  }

  override handleChatModelStart (
    _model: unknown, _messages: unknown, callId: string, parentId?: string, _params?: Record<string, unknown>, _tags?: string[],
    metadata: Record<string, unknown> = {}
  ): void {
    const { ls_model_name: model, ls_provider: provider } = metadata
    this.#begin(callId, parentId, nameSpan('chat', model), {
      'gen_ai.operation.name': 'chat',
      ...(typeof model === 'string' && { 'gen_ai.request.model': cut(model) }),
      ...(typeof provider === 'string' && { 'gen_ai.provider.name': cut(provider) })
    }, SpanKind.CLIENT)
  }

  /** A model that takes a text and no messages. */
  override handleLLMStart (
    model: unknown, prompts: unknown, callId: string, parentId?: string, params?: Record<string, unknown>, tags?: string[],
    metadata?: Record<string, unknown>
  ): void {
    this.handleChatModelStart(model, prompts, callId, parentId, params, tags, metadata)
  }

  override handleLLMEnd (answer: unknown, callId: string): void {
    const span = this.#spans.get(callId)
    const message = Value.Check(Answer, answer) ? answer.generations[0]?.[0]?.message : undefined
    const model = message?.response_metadata?.model_name
    if (model !== undefined) span?.updateName(nameSpan('chat', model)).setAttribute('gen_ai.response.model', cut(model))
    if (message?.usage_metadata !== undefined) {
      const { input_tokens: input, output_tokens: output } = message.usage_metadata
      span?.setAttributes({ 'gen_ai.usage.input_tokens': input, 'gen_ai.usage.output_tokens': output })
    }
    this.#end(callId)
  }

  override handleLLMError (error: unknown, callId: string): void {
    this.#end(callId, error)
  }

  override handleToolStart (
    _tool: unknown, _input: unknown, callId: string, parentId?: string, _tags?: string[], _metadata?: Record<string, unknown>, name?: string
  ): void {
    this.#begin(callId, parentId, nameSpan('execute_tool', name), {
      'gen_ai.operation.name': 'execute_tool',
      ...(typeof name === 'string' && { 'gen_ai.tool.name': cut(name) })
    })
  }

  override handleToolEnd (_output: unknown, callId: string): void {
    this.#end(callId)
  }

  override handleToolError (error: unknown, callId: string): void {
    this.#end(callId, error)
  }

  #begin (callId: string, parentId: string | undefined, name: string, attributes: Attributes, kind: SpanKind = SpanKind.INTERNAL): void {
    const parent = this.#find(parentId)
    const span = this.#tracer.startSpan(name, { attributes, kind }, parent)
    this.#spans.set(callId, span)
    this.#contexts.set(callId, trace.setSpan(parent, span))
  }

  #end (callId: string, error?: unknown): void {
    const span = this.#spans.get(callId)
    this.#spans.delete(callId)
    this.#contexts.delete(callId)
    if (error instanceof Error && INTERRUPTS.has(error.name)) span?.setAttribute('outcome', 'question')
    else if (span !== undefined && error !== undefined) markFailure(span, error)
    span?.end()
  }

  #find (id: unknown): Context {
    return (typeof id === 'string' ? this.#contexts.get(id) : undefined) ?? this.#around
  }
}

function nameSpan (operation: string, name: unknown): string {
  return typeof name === 'string' ? `${operation} ${cut(name)}` : operation
}

function cut (name: string): string {
  return name.slice(0, MAX_NAME)
}
