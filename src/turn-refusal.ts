import { ServiceError } from './errors.ts'

const RETRY_AFTER_SECONDS = 5

/** What somebody hears whose turn could not begin: the server did not do what was asked of it. */
export function refuseTurn (cause: unknown): ServiceError {
  return new ServiceError('STORE_UNAVAILABLE', { cause, retryAfterSeconds: RETRY_AFTER_SECONDS })
}

/** As many wait as may. */
export function refuseWait (): ServiceError {
  return new ServiceError('TURN_QUEUE_FULL', { retryAfterSeconds: RETRY_AFTER_SECONDS })
}

/** The replica stops. */
export function refuseAtEnd (): ServiceError {
  return new ServiceError('SERVICE_STOPPING', { retryAfterSeconds: RETRY_AFTER_SECONDS })
}

/** Asks something of the server, or throws STORE_UNAVAILABLE. */
export async function refuseFailure<T> (run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw refuseTurn(error)
  }
}
