import { ServiceError } from './errors.ts'

/** Runs something that has to end after `timeoutMs` (with AGENT_TIMEOUT), or when `stopped` says so: the signal's reason tells which. */
export async function runWithDeadline<T> (timeoutMs: number, stopped: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  // Not AbortSignal.any: it would hang one more dependant on `stopped` with each run, for as long as that lives.
  const end = new AbortController()
  const stop = () => { end.abort(stopped.reason) }
  stopped.addEventListener('abort', stop, { once: true })
  if (stopped.aborted) stop()
  const timer = setTimeout(() => { end.abort(new ServiceError('AGENT_TIMEOUT')) }, timeoutMs)
  try {
    return await run(end.signal)
  } finally {
    clearTimeout(timer)
    stopped.removeEventListener('abort', stop)
  }
}
