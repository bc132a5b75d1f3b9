import { ServiceError } from './errors.ts'

/** A turn that runs now. */
interface RunningTurn {
  readonly cancel: AbortController
  readonly ended: Promise<unknown>
}

/**
 * The turns that run now, one at most for each session, so that each can be cancelled.
 *
 * *Promise.* `cancel` answers when the turn has ended, and says that it was cancelled only if that is what ended it: of a cancel and the last
 * save of a turn, whoever is first wins.
 */
export class RunningTurns {
  readonly #running = new Map<string, RunningTurn>()

  /** How many run now. */
  get size (): number {
    return this.#running.size
  }

  /** Whether a turn of this session runs here. */
  has (sessionId: string): boolean {
    return this.#running.has(sessionId)
  }

  /** Runs a turn, whose signal ends with the reason of the first of these that does, or with TURN_CANCELLED. */
  async run<T> (sessionId: string, stops: readonly AbortSignal[], turn: (signal: AbortSignal) => Promise<T>): Promise<T> {
    // Not AbortSignal.any: it would hang one more dependant on each of them with each turn, for as long as they live.
    const cancel = new AbortController()
    const stop = (): void => { cancel.abort(stops.find(({ aborted }) => aborted)?.reason) }
    for (const signal of stops) signal.addEventListener('abort', stop, { once: true })
    if (stops.some(({ aborted }) => aborted)) stop()
    const ended = turn(cancel.signal)
    this.#running.set(sessionId, { cancel, ended })
    try {
      return await ended
    } finally {
      this.#running.delete(sessionId)
      for (const signal of stops) signal.removeEventListener('abort', stop)
    }
  }

  /** Ends the turn of a session, and resolves when it has ended. Throws TURN_NOT_RUNNING if none runs, or if it ended otherwise. */
  async cancel (sessionId: string): Promise<void> {
    const running = this.#running.get(sessionId)
    if (running === undefined) throw new ServiceError('TURN_NOT_RUNNING')
    running.cancel.abort(new ServiceError('TURN_CANCELLED'))
    const [outcome] = await Promise.allSettled([running.ended])
    const isCancelled = outcome.status === 'rejected' && outcome.reason instanceof ServiceError && outcome.reason.code === 'TURN_CANCELLED'
    if (!isCancelled) throw new ServiceError('TURN_NOT_RUNNING')
  }
}
