import { Type } from '@sinclair/typebox'
import { JsonObject } from '../src/sessions/session.ts'
import { TURN_ANSWERS, TURN_STREAMS } from './examples.ts'

const Ids = Type.Object({ user_id: Type.String(), session_id: Type.String(), platform: Type.String() }, { title: 'SessionEvent' })
const Token = Type.Object({ text: Type.String() }, { title: 'TokenEvent' })
const Call = Type.Object({ id: Type.String(), name: Type.String(), args: JsonObject }, { title: 'ToolCallEvent' })
const Result = Type.Object({ id: Type.String(), name: Type.String(), content: Type.String() }, { title: 'ToolResultEvent' })

const DESCRIPTION = [
  'With `Accept: text/event-stream`. `session` (`SessionEvent`), then any number of `token` (`TokenEvent`), `tool_call` (`ToolCallEvent`) and `tool_result`',
  '(`ToolResultEvent`), then exactly one `message` (`ChatAnswer`) or one `error` (`TurnError`); then the stream ends. Each event has an `id`; a comment every',
  '15 s keeps the line open. The texts of the tokens after the last `tool_result`, joined, are the message of a completed turn.'
].join(' ')

function referTo (name: string) {
  return { $ref: `#/components/schemas/${name}` }
}

/** What chat and approve answer with, as JSON or as events. */
export const TURN_DOCUMENTATION = {
  answers: {
    200: {
      description: 'The answer of the agent, or its question',
      examples: TURN_ANSWERS,
      headers: ['Idempotency-Replayed'],
      stream: {
        description: DESCRIPTION,
        events: { session: Ids, token: Token, tool_call: Call, tool_result: Result, message: referTo('ChatAnswer'), error: referTo('TurnError') },
        examples: TURN_STREAMS
      }
    }
  },
  errors: [
    'SESSION_NOT_FOUND', 'APPROVAL_NOT_PENDING', 'APPROVAL_SUPERSEDED', 'APPROVAL_EXPIRED', 'TURN_CANCELLED', 'IDEMPOTENCY_KEY_REUSED', 'STREAM_GONE',
    'TURN_QUEUE_FULL', 'STREAMS_EXCEEDED', 'CONVERSATION_UNREADABLE', 'AGENT_FAILED', 'STORE_UNAVAILABLE', 'CONVERSATIONS_UNAVAILABLE', 'SERVICE_STOPPING',
    'AGENT_TIMEOUT', 'TURN_TAKEN_OVER'
  ]
} as const
