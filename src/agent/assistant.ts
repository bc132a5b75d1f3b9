import type { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { ToolMessage, type ToolCall } from '@langchain/core/messages'
import { isGraphInterrupt, type BaseCheckpointSaver, type BaseStore } from '@langchain/langgraph'
import {
  createAgent, createMiddleware, dynamicSystemPromptMiddleware, humanInTheLoopMiddleware, tool, ToolInvocationError, type AgentMiddleware
} from 'langchain'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { Log } from '../log.ts'
import { isStorageError } from './disk-error.ts'
import { isTakenOver } from './lost-lease.ts'
import { keepSafely } from './model-messages.ts'
import { RunContext } from './run-context.ts'

const MAX_NOTES_LISTED = 100

const PROMPT = `You are a helpful assistant in a chat. Answer briefly, in plain text without markup.
You can save notes for the person (each one is confirmed by the person before it is saved), list them, and tell the time.`

/** What the built-in agent is made of. */
export interface AssistantOptions {
  readonly model: BaseChatModel
  readonly checkpointer: BaseCheckpointSaver
  /** Where notes live: by person, so that they outlive a session. */
  readonly notes: BaseStore
  readonly log: Log
  readonly now?: () => number
}

/** The built-in agent: a compiled graph with three tools, of which `save_note` needs approval. */
export function createAssistant ({ model, checkpointer, notes, log, now = Date.now }: AssistantOptions) {
  const tools = createTools(notes, now)
  const agent = createAgent({
    model,
    tools,
    checkpointer,
    store: notes,
    contextSchema: RunContext,
    middleware: [
      dynamicSystemPromptMiddleware<RunContext>((_state, runtime) => describePerson(runtime.context)),
      keepSafely(),
      guardTools(['save_note'], log),
      askPerson()
    ]
  })
  return { graph: agent.graph, tools }
}

function createTools (notes: BaseStore, now: () => number) {
  const saveNote = tool(async ({ text }, runtime: { context?: RunContext }) => {
    await notes.put(namespaceOf(runtime.context), randomUUID(), { text })
    return `Saved the note: ${text}`
  }, { name: 'save_note', description: 'Saves a note for the person.', schema: z.object({ text: z.string().min(1) }) })

  const listNotes = tool(async (_args, runtime: { context?: RunContext }) => {
    const items = await notes.search(namespaceOf(runtime.context), { limit: MAX_NOTES_LISTED })
    if (items.length === 0) return 'There are no notes.'
    return items.map((item, index) => `${index + 1}. ${String(item.value.text)}`).join('\n')
  }, { name: 'list_notes', description: 'Lists the notes of the person, oldest first.', schema: z.object({}) })

  const currentTime = tool(async () => new Date(now()).toISOString(), {
    name: 'current_time',
    description: 'Tells the current date and time (ISO 8601, UTC).',
    schema: z.object({})
  })
  return [saveNote, listNotes, currentTime]
}

function namespaceOf (context: RunContext | undefined): string[] {
  if (context === undefined) throw new Error('The notes tools need to know whose notes they are: the run has no context')
  // A label may hold neither of `.` and `:` (LangGraph's rule), a user id may; encodeURIComponent leaves only the dot to do.
  return ['notes', ...[context.platform, context.userId].map(label => encodeURIComponent(label).replaceAll('.', '%2E'))]
}

function describePerson (context: RunContext): string {
  return context.userName === undefined ? PROMPT : `${PROMPT}\nThe person's name is ${JSON.stringify(context.userName)}.`
}

/** LangChain's middleware, called loosely: under `exactOptionalPropertyTypes` the type of its parameter comes out as `never`. */
function askPerson (): AgentMiddleware {
  const options = {
    interruptOn: {
      save_note: {
        allowedDecisions: ['approve', 'edit', 'reject'],
        description: (call: ToolCall) => typeof call.args.text === 'string' ? `Save the note ${JSON.stringify(call.args.text)}` : 'Save a note'
      }
    }
  }
  return Reflect.apply(humanInTheLoopMiddleware, undefined, [options])
}

/**
 * The last door before a guarded tool: it runs only if this very run carries an approval of this very call. A tool that fails tells the agent so.
 */
function guardTools (names: readonly string[], log: Log) {
  return createMiddleware({
    name: 'GuardTools',
    contextSchema: RunContext,
    wrapToolCall: async (request, handler) => {
      const { toolCall, runtime } = request
      const id = toolCall.id ?? ''
      const refuse = (content: string) => new ToolMessage({ content, name: toolCall.name, tool_call_id: id, status: 'error' })
      if (names.includes(toolCall.name) && !runtime.context.approved.includes(id)) return refuse('The person has not approved this call.')
      try {
        return await handler(request)
      } catch (error) {
        // Nobody knows what became of a write that met a failing disk: the turn fails, and the yes counts as cut off. One that was taken over is
        // at its end, whatever the model would say to it.
        if (isGraphInterrupt(error) || isStorageError(error) || isTakenOver(error) || runtime.signal?.aborted === true) throw error
        // The yes is used up: the agent learns that it failed, and the person is not asked to approve the same call again.
        // Arguments that do not fit are the model's to mend; LangChain's error repeats them, so it is not for the log.
        if (ToolInvocationError.isInstance(error)) return refuse(`The arguments of ${toolCall.name} do not fit its schema.`)
        log.error({ err: error, tool: toolCall.name, tool_call_id: id }, 'A tool failed')
        return refuse(`The tool ${toolCall.name} failed.`)
      }
    }
  })
}
