import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ServiceError } from '../../errors.ts'

/** A body is cut there: it may be a page of HTML. */
const MAX_TEXT = 300

const HttpError = Type.Object({ status: Type.Integer(), text: Type.String() })
const Explanation = Type.Union([Type.Object({ message: Type.String() }), Type.Object({ detail: Type.String() })])

/**
 * How a LangGraph server failed: it answered with an error, did not answer in time, was not reached, or sent what nobody can read; or it is well, and
 * the run failed.
 */
export type FailureKind = 'status' | 'timeout' | 'connection' | 'unreadable' | 'run'

/** What went wrong at a LangGraph server, or on the way there; bears neither a key nor an address with a password. */
export class RemoteFailure extends Error {
  override readonly name = 'RemoteFailure'
  readonly kind: FailureKind
  /** Of HTTP, if the server answered. */
  readonly status: number | undefined

  constructor (kind: FailureKind, message: string, { status, cause }: { status?: number, cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.status = status
  }
}

/** What the SDK threw, in words of ours: its own errors carry the whole response along. */
export function readFailure (error: unknown): unknown {
  if (error instanceof RemoteFailure || !(error instanceof Error)) return error
  if (Value.Check(HttpError, error)) {
    const { status, text } = error
    return new RemoteFailure('status', `The LangGraph server answered ${status}: ${explain(text)}`, { status })
  }
  // Its message quotes what could not be read, which may be what people said.
  if (error instanceof SyntaxError) return new RemoteFailure('connection', 'The LangGraph server, or a proxy before it, sent what is no JSON')
  if (error.name === 'TimeoutError') return new RemoteFailure('timeout', 'The LangGraph server did not answer in time', { cause: error })
  return new RemoteFailure('connection', `The connection to the LangGraph server broke: ${error.message}`, { cause: error })
}

/** The failure that a run reports about itself. */
export function readRunFailure (data: unknown): RemoteFailure {
  const message = Value.Check(Type.Object({ message: Type.String() }), data) ? data.message : 'it gives no reason'
  return new RemoteFailure('run', `The run failed: ${message.slice(0, MAX_TEXT)}`)
}

/** Throws what the callers of an agent know. */
export function rethrowAsServiceError (error: unknown): never {
  if (error instanceof ServiceError) throw error
  const kind = error instanceof RemoteFailure ? error.kind : undefined
  if (kind === 'timeout') throw new ServiceError('AGENT_TIMEOUT', { cause: error })
  throw new ServiceError(kind === 'unreadable' ? 'CONVERSATION_UNREADABLE' : 'AGENT_FAILED', { cause: error })
}

/** Throws the reason of a signal that has ended, else what the callers of an agent know. */
export function rethrowUnless (signal: AbortSignal | undefined): (error: unknown) => never {
  return error => {
    signal?.throwIfAborted()
    return rethrowAsServiceError(error)
  }
}

/** Whether an error leaves open what the server makes of the request: it did not answer itself. */
export function isNoAnswer (error: unknown): boolean {
  return !(error instanceof RemoteFailure) || error.status === undefined || error.status === 502 || error.status === 504
}

function explain (text: string): string {
  try {
    const body: unknown = JSON.parse(text)
    // A list of what is invalid repeats the input, which is not for the log.
    if (!Value.Check(Explanation, body)) return 'it gives no reason'
    return ('message' in body ? body.message : body.detail).slice(0, MAX_TEXT)
  } catch {
    return text.trim() === '' || text.trimStart().startsWith('<') ? 'it gives no reason' : text.slice(0, MAX_TEXT)
  }
}
