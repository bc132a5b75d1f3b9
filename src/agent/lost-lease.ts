import { isCoded, ServiceError } from '../errors.ts'
import { currentLease } from '../turn-lease.ts'

/** Causes of causes that are looked at. */
const MAX_CAUSES = 8

/** Whether an error says that the turn is another replica's by now. */
export function isTakenOver (error: unknown): boolean {
  return isCoded(error, 'TURN_TAKEN_OVER')
}

/** What a caller gets whose turn was taken over. */
export function refuseTakenOver (cause?: unknown): ServiceError {
  return new ServiceError('TURN_TAKEN_OVER', { cause, retryAfterSeconds: 5 })
}

/**
 * Why a run that ended with this error was at its end anyway: its lease was lost, be it that the error says so, or one of its causes, since tools
 * and graphs wrap what they catch; or that the lease itself does.
 */
export function findLostLease (error: unknown): ServiceError | undefined {
  let cause = error
  for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error; depth++, cause = cause.cause) {
    if (cause instanceof ServiceError && isTakenOver(cause)) return cause
  }
  try {
    currentLease()?.check()
    return undefined
  } catch (lost) {
    return lost instanceof ServiceError ? lost : refuseTakenOver(lost)
  }
}
