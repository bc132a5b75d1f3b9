/**
 * Work on threads that goes on when its caller has to go.
 *
 * *Promise.* One piece of work at a time for each thread, in the order in which they came; `wait` sees all of it. What fails after its caller has
 * gone is no unhandled rejection: the work logs its own failures.
 *
 * *Not promised.* That the work ends: it has to limit itself.
 */
export class Repairs {
  readonly #running = new Map<string, Promise<void>>()

  /** Does a piece of work, and throws what it throws. Once the signal has ended it is waited for `partingMs` more, and then goes on alone. */
  async run (threadId: string, work: () => Promise<void>, signal?: AbortSignal, partingMs = 0): Promise<void> {
    const running = this.#follow(this.#running.get(threadId), work)
    const kept = running.catch(() => {}).finally(() => {
      if (this.#running.get(threadId) === kept) this.#running.delete(threadId)
    })
    this.#running.set(threadId, kept)
    await leaveAfter(running, signal, partingMs)
  }

  /** Resolves when nothing is being done to the thread. Throws the signal's reason. */
  async wait (threadId: string, signal?: AbortSignal): Promise<void> {
    const running = this.#running.get(threadId)
    if (running === undefined) return
    await leaveAfter(running, signal, 0)
    signal?.throwIfAborted()
  }

  async #follow (earlier: Promise<void> | undefined, work: () => Promise<void>): Promise<void> {
    await earlier
    await work()
  }
}

/** Resolves when the work has ended, or `partingMs` after the signal has. */
async function leaveAfter (running: Promise<void>, signal: AbortSignal | undefined, partingMs: number): Promise<void> {
  if (signal === undefined) return await running
  let timer: NodeJS.Timeout | undefined
  let leave = () => {}
  const left = new Promise<void>(resolve => {
    leave = () => { timer = setTimeout(resolve, partingMs) }
  })
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  try {
    await Promise.race([running, left])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  }
}
