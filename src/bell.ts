/** What one waits for who also looks now and then: rung before anybody listens, it is heard all the same. One listens at a time. */
export class Bell {
  #isRung = false
  #hear = (): void => {}

  /** To be handed on as a function. */
  readonly ring = (): void => {
    this.#isRung = true
    this.#hear()
  }

  /** Resolves when it rings, at once if it did so since it was last heard; after `withinMs` anyway. Throws the signal's reason when that aborts. */
  async hear (withinMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (!this.#isRung) {
      await new Promise<void>((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', leave)
          this.#hear = () => {}
        }
        const done = (): void => {
          stop()
          resolve()
        }
        const leave = (): void => {
          stop()
          reject(signal?.reason)
        }
        const timer = setTimeout(done, withinMs)
        signal?.addEventListener('abort', leave, { once: true })
        this.#hear = done
      })
    }
    this.#isRung = false
  }
}
