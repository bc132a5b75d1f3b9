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
  readonly stack: string
  readonly code?: string | number
  readonly cause?: LoggedError
}

/** Causes of causes that are told. */
const MAX_CAUSES = 8

/** Anything shorter occurs in words that are no secret. */
const MIN_SECRET_LENGTH = 6

/**
 * How errors are logged: by these fields alone, since the errors of HTTP clients carry whole requests, with the keys in their headers; and without
 * the secrets, wherever a provider repeats one in a message.
 */
export function makeErrorSerializer (secrets: readonly string[]): (error: unknown) => LoggedError {
  // The longest first: one may be the beginning of another.
  const masked = secrets.filter(secret => secret.length >= MIN_SECRET_LENGTH).sort((a, b) => b.length - a.length)
  const mask = (text: string): string => masked.reduce((rest, secret) => rest.replaceAll(secret, '[secret]'), text)
  const describe = (error: unknown, depth: number): LoggedError => {
    if (!(error instanceof Error)) {
      return { type: typeof error, message: typeof error === 'string' ? mask(error) : 'What was thrown is no error', stack: '' }
    }
    const { message, stack = '', cause } = error
    return {
      type: error.constructor.name,
      message: mask(message),
      stack: mask(stack),
      ...('code' in error && (typeof error.code === 'string' || typeof error.code === 'number') && { code: error.code }),
      ...(cause !== undefined && depth < MAX_CAUSES && { cause: describe(cause, depth + 1) })
    }
  }
  return error => describe(error, 0)
}

/** Of a request, what a log line may say: no query, which may hold what people wrote, and no header. */
export function describeLoggedRequest ({ method, url }: { readonly method: string, readonly url: string }): Record<string, string> {
  return { method, path: url.split('?')[0] ?? '' }
}
