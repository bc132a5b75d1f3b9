import { ERRORS, ServiceError } from './errors.ts'
import { makeMask } from './secrets.ts'

/** Takes a line for the operator: fields first, message second, as pino does. Ids and counts are fields; content never is. */
export type LogLine = (fields: object, message: string) => void

/** The part of a logger that the lower floors use. */
export interface Log {
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
}

/** What a log line says of an error. */
export type LoggedError = {
  readonly type: string
  readonly message: string
  /** The places in the code alone. */
  readonly stack: string
  readonly code?: string | number
  /** Of HTTP, where a server answered with an error. */
  readonly status?: number
  readonly cause?: LoggedError
}

/** Causes of causes that are told. */
const MAX_CAUSES = 8

/** Stands for a message that is not ours. */
export const WITHHELD = 'Withheld, since it may repeat what people said: see type, code, status, stack and cause'

/** A code, a name, and no sentence. */
const IDENTIFIER = /^[\w.-]{1,64}$/

/** A place in the code, as V8 writes it. */
const FRAME = /^ {4}at (?:.{1,160} \()?(?:(?:file:|node:|\/|[A-Za-z]:[\\/])[^\n]*:\d+:\d+|<anonymous>|native|index \d+)\)?$/

/** Where the service's own code is, compiled or not. */
const OWN_FOLDERS = ['./', '../plugins/', '../routes/'].map(folder => new URL(folder, import.meta.url).href)

/**
 * How errors are logged: by these fields alone, since the errors of HTTP clients carry whole requests, with the keys in their headers; without the
 * secrets; and without a message that somebody else wrote.
 *
 * *Promise.* No message of a model, a tool, a graph or a server is logged: each may repeat what a person said, and JSON.parse does. Those of the
 * system, of SQLite and of the service itself are.
 */
export function makeErrorSerializer (secrets: readonly string[]): (error: unknown) => LoggedError {
  const mask = makeMask(secrets)
  const describe = (error: unknown, depth: number): LoggedError => {
    if (!(error instanceof Error)) return { type: typeof error, message: WITHHELD, stack: '' }
    const places = listPlaces(error)
    return {
      type: error instanceof DOMException ? error.name : error.constructor.name,
      message: mask(readMessage(error, places)),
      stack: mask(places.join('\n')),
      ...readMarks(error),
      ...(error.cause !== undefined && depth < MAX_CAUSES && { cause: describe(error.cause, depth + 1) })
    }
  }
  return error => describe(error, 0)
}

/** Of a request, what a log line may say: no query, which may hold what people wrote, and no header. */
export function describeLoggedRequest ({ method, url }: { readonly method: string, readonly url: string }): Record<string, string> {
  return { method, path: url.split('?')[0] ?? '' }
}

function readMessage (error: Error, [place = '']: readonly string[]): string {
  if (error instanceof ServiceError) return error.statusCode < 500 ? ERRORS[error.code].message : error.message
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const isOfSystem = code !== '' && 'syscall' in error && typeof error.syscall === 'string'
  const isKnown = isOfSystem || /^(?:SQLITE|FST_ERR|AVV_ERR)_/.test(code) || OWN_FOLDERS.some(folder => place.includes(folder))
  return isKnown || error.message === '' ? error.message : WITHHELD
}

/** The lines of a stack that are places in the code, beginning with where the error was made; none of its message, whatever that looks like. */
function listPlaces ({ message, stack = '' }: Error): string[] {
  const end = message === '' ? -1 : stack.indexOf(message)
  const lines = (end < 0 ? stack : stack.slice(end + message.length)).split('\n')
  // The message was changed after the stack was written: only what stands together at the end is certain.
  const start = end < 0 ? lines.findLastIndex(line => !FRAME.test(line)) + 1 : 0
  return lines.slice(start).filter(line => FRAME.test(line))
}

/** What says what went wrong without words. */
function readMarks (error: Error): Pick<LoggedError, 'code' | 'status'> {
  const codes: unknown[] = ['code', 'lc_error_code', 'type'].map(name => Reflect.get(error, name))
  const code = codes.find(value => typeof value === 'number' || (typeof value === 'string' && IDENTIFIER.test(value)))
  const status: unknown = Reflect.get(error, 'status')
  return {
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...(typeof status === 'number' && { status })
  }
}
