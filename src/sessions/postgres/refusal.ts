import { ServiceError } from '../../errors.ts'
import { explainPostgresError, isLeaseLost } from '../../postgres/errors.ts'

const RETRY_AFTER_SECONDS = 5

/** Throws what an operator gets where the sessions cannot be used from the start. */
export function refuseStart (error: unknown): never {
  const cause: unknown = error instanceof ServiceError ? error.cause : error
  throw new ServiceError('STORE_UNREACHABLE', { message: `The sessions in the database of DATABASE_URL cannot be used: ${explainPostgresError(cause)}`, cause })
}

/** What a caller gets for an error of Postgres. */
export function refuseSession (cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  return new ServiceError(isLeaseLost(cause) ? 'TURN_TAKEN_OVER' : 'STORE_UNAVAILABLE', { cause, retryAfterSeconds: RETRY_AFTER_SECONDS })
}
