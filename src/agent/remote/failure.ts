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

/** What went wrong at a LangGraph server, or on the way there; its message bears no key, no address with a password, and no word of the server's. */
export class RemoteFailure extends Error {
  override readonly name = 'RemoteFailure'
  readonly kind: FailureKind
  /** Of HTTP, if the server answered. */
  readonly status: number | undefined
  /** What the server says of it; not for the log, since it may repeat what people said. */
  readonly detail: string

  constructor (kind: FailureKind, message: string, { status, detail = '', cause }: { status?: number, detail?: string, cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.status = status
    this.detail = detail
  }
}

/** What the SDK threw, in words of ours: its own errors carry the whole response along. */
export function readFailure (error: unknown): unknown {
  if (error instanceof RemoteFailure || !(error instanceof Error)) return error
  if (Value.Check(HttpError, error)) {
    const { status, text } = error
    return new RemoteFailure('status', `The LangGraph server answered ${status}; its own log says why`, { status, detail: explain(text) })
  }
  // Its message quotes what could not be read, which may be what people said.
  if (error instanceof SyntaxError) return new RemoteFailure('connection', 'The LangGraph server, or a proxy before it, sent what is no JSON')
  if (error.name === 'TimeoutError') return new RemoteFailure('timeout', 'The LangGraph server did not answer in time', { cause: error })
  // The SDK quotes what our own `fetch` says; nothing else that it says is ours.
  const [quoted = 'The connection to the LangGraph server broke'] = /The LangGraph server cannot be reached \(\w+\)/.exec(error.message) ?? []
  return new RemoteFailure('connection', quoted, { cause: error })
}

/** The failure that a run reports about itself. */
export function readRunFailure (data: unknown): RemoteFailure {
  const name = Value.Check(Type.Object({ error: Type.String({ pattern: '^\\w{1,64}$' }) }), data) ? ` with ${data.error}` : ''
  const detail = Value.Check(Type.Object({ message: Type.String() }), data) ? data.message.slice(0, MAX_TEXT) : ''
  return new RemoteFailure('run', `The run failed${name}; the log of the LangGraph server says why`, { detail })
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
