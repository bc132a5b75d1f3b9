import { ServiceError } from '../../errors.ts'
import { isLeaseLost } from '../../postgres/errors.ts'

const RETRY_AFTER_SECONDS = 5

/** What a caller gets for an error of Postgres. */
export function refuseSession (cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  return new ServiceError(isLeaseLost(cause) ? 'TURN_TAKEN_OVER' : 'STORE_UNAVAILABLE', { cause, retryAfterSeconds: RETRY_AFTER_SECONDS })
}
