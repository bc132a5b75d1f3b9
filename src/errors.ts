/** One row of the table: what a code means to a client (`status`, `message`) and to the operator who reads the log (`nextStep`). */
interface ErrorRow {
  readonly status: number
  readonly message: string
  readonly nextStep: string
}

/**
 * Every error that the service answers with. A code is stable: clients and alerts may depend on it.
 * A 5xx message is all that a client ever learns; the cause goes to the log alone.
 */
export const ERRORS = {
  REQUEST_INVALID: { status: 400, message: 'The request is not valid', nextStep: 'Correct the named field' },
  BODY_NOT_JSON: { status: 400, message: 'The body is not valid JSON', nextStep: 'Send a JSON object' },
  KEY_REFUSED: { status: 401, message: 'A valid API key is required', nextStep: 'Send Authorization: Bearer <API_KEY>' },
  KEY_SCOPE_MISSING: {
    status: 403, message: 'This API key may not do this', nextStep: 'Send a key that has the scope, or add the scope to this one in API_KEY'
  },
  ROUTE_NOT_FOUND: { status: 404, message: 'There is no such route', nextStep: 'GET / lists the endpoints' },
  SESSION_NOT_FOUND: { status: 404, message: 'This session does not exist or has expired', nextStep: 'Send the message without session_id to start a new one' },
  REQUEST_TIMED_OUT: { status: 408, message: 'The request took too long to arrive', nextStep: 'Send the whole request within 30 s, its headers within 10 s' },
  APPROVAL_NOT_PENDING: { status: 409, message: 'No question is waiting for an answer', nextStep: 'Nothing to do: the question was answered or never asked' },
  APPROVAL_SUPERSEDED: { status: 409, message: 'This is not the question that is waiting', nextStep: 'Read the session for the pending approval_id' },
  APPROVAL_EXPIRED: {
    status: 409,
    message: 'This question has expired: nobody answered in time, and nothing was done',
    nextStep: 'Ask the agent again, or raise APPROVAL_TIMEOUT_MINUTES'
  },
  APPROVAL_OUTCOME_UNKNOWN: {
    status: 409,
    message: 'An earlier answer was cut off: the action may or may not have happened. Please check, then answer the question again',
    nextStep: 'Send any message to see the question under its new approval_id'
  },
  TURN_CANCELLED: { status: 409, message: 'This request was cancelled', nextStep: 'Nothing to do: somebody asked for it' },
  TURN_NOT_RUNNING: { status: 409, message: 'Nothing is running that could be cancelled', nextStep: 'Nothing to do: the turn has ended or never began' },
  IDEMPOTENCY_KEY_REUSED: {
    status: 409,
    message: 'This Idempotency-Key was sent with another request before',
    nextStep: 'Send a new key with every new request, the same one with its repeats alone'
  },
  STREAM_GONE: {
    status: 409,
    message: 'The events after this Last-Event-ID are gone',
    nextStep: 'Read the conversation for the answer; to ask again, send the request without Last-Event-ID'
  },
  BODY_TOO_LARGE: { status: 413, message: 'The body is larger than 256 KiB', nextStep: 'Send less' },
  MEDIA_TYPE_UNSUPPORTED: { status: 415, message: 'The body must be application/json', nextStep: 'Send Content-Type: application/json' },
  DECISION_REFUSED: { status: 422, message: 'The decision does not fit the question', nextStep: 'Read approval_data for what may be decided' },
  TURN_QUEUE_FULL: { status: 429, message: 'Too many messages are waiting for this session', nextStep: 'Wait for the answers, or raise MAX_QUEUED_TURNS' },
  KEY_ATTEMPTS_EXCEEDED: {
    status: 429, message: 'Too many requests without a valid API key', nextStep: 'Send the right key, which is taken at once; or find out who guesses'
  },
  RATE_LIMITED: {
    status: 429,
    message: 'Too many requests in a short time. Please wait a moment, then try again',
    nextStep: 'Wait as long as Retry-After says, or raise RATE_LIMIT_MAX (of a person) or RATE_LIMIT_KEY_MAX (of a key)'
  },
  STREAMS_EXCEEDED: { status: 429, message: 'Too many event streams are open', nextStep: 'Read streams to their end and close them, or raise MAX_STREAMS' },
  HEADERS_TOO_LARGE: { status: 431, message: 'The headers are larger than 16 KiB', nextStep: 'Send less' },
  CONVERSATION_UNREADABLE: {
    status: 500,
    message: 'This conversation cannot be read any more. Send "/new" to start a new one',
    nextStep: 'Find the cause in the log under the request id; DELETE /api/sessions/{session_id} removes session and conversation'
  },
  INTERNAL: { status: 500, message: 'Something went wrong', nextStep: 'Find the cause in the log under the request id' },
  AGENT_FAILED: { status: 502, message: 'The agent could not answer. Please try again', nextStep: 'Find the cause in the log under the request id' },
  STORE_UNAVAILABLE: { status: 503, message: 'Sessions are not available at the moment. Please try again', nextStep: 'Check the disk, or the database, that holds the sessions' },
  CONVERSATIONS_UNAVAILABLE: {
    status: 503,
    message: 'The conversation cannot be saved at the moment. Please try again',
    nextStep: 'Check the disk, or the database, that holds the conversations'
  },
  OVERLOADED: {
    status: 503,
    message: 'The service is very busy at the moment. Please try again in a moment',
    nextStep: 'Look at the load of the machine and at how long turns take; raise MAX_CONCURRENT_TURNS where both are small'
  },
  TURN_TAKEN_OVER: {
    status: 503,
    message: 'The turn was cut off. Please try again',
    nextStep: 'A replica was paused, or cut off from its database, for longer than it may hold a session: look at its log and at the machine'
  },
  SERVICE_STOPPING: { status: 503, message: 'The service is restarting. Please try again', nextStep: 'Nothing to do: the next start takes over' },
  AGENT_TIMEOUT: { status: 504, message: 'The agent took too long to answer. Please try again', nextStep: 'Raise AGENT_TIMEOUT_SECONDS, or look into the agent' },
  // Below: errors that end a start; they never reach a client.
  SETTING_INVALID: { status: 500, message: 'A setting is not valid', nextStep: 'Correct the named setting' },
  STORE_UNREACHABLE: { status: 500, message: 'The database cannot be reached', nextStep: 'Check DATABASE_URL or REDIS_URL, and that the server runs' },
  FILE_LOCKED: { status: 500, message: 'Another process has the file', nextStep: 'Stop the other process, or give this one a file of its own' },
  FILE_INVALID: { status: 500, message: 'The file cannot be used', nextStep: 'Look at the named file' }
} as const satisfies Record<string, ErrorRow>

/** A stable error code, `NOUN_STATE`. */
export type ErrorCode = keyof typeof ERRORS

/** What an error may add to its row of the table. */
export interface ErrorDetails {
  /** Replaces the table's message. Shown to clients for a status below 500, and in the line that ends a start. */
  readonly message?: string
  readonly cause?: unknown
  /** Seconds after which a retry makes sense; sent as `Retry-After` (RFC 9110, 10.2.3). */
  readonly retryAfterSeconds?: number | undefined
  /** Which session it is about, where that is known. */
  readonly session?: SessionReference | undefined
}

/** A session as an error names it. */
export interface SessionReference {
  readonly sessionId: string
  readonly userId: string
  readonly platform: string
}

/** An error of the table: thrown anywhere on the lower floors, turned into an answer by the errors plugin. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: ErrorCode
  readonly statusCode: number
  readonly retryAfterSeconds: number | undefined
  readonly session: SessionReference | undefined

  constructor (code: ErrorCode, details: ErrorDetails = {}) {
    super(details.message ?? ERRORS[code].message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.statusCode = ERRORS[code].status
    this.retryAfterSeconds = details.retryAfterSeconds
    this.session = details.session
  }

  /** The same error, about this session. A new object, since one error may end several turns. */
  withSession ({ sessionId, userId, platform }: SessionReference): ServiceError {
    const { code, message, cause, retryAfterSeconds } = this
    return new ServiceError(code, { message, cause, retryAfterSeconds, session: { sessionId, userId, platform } })
  }

  /** The same error for those who keep it: its cause, and the frames of its stack, hold on to everything that was at work. */
  withoutCause (): ServiceError {
    const { code, message, retryAfterSeconds, session } = this
    return new ServiceError(code, { message, retryAfterSeconds, session })
  }
}

/** Whether an error bears this code of its own: the system's (`ENOENT`), SQLite's (`SQLITE_BUSY`). */
export function isCoded (error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
