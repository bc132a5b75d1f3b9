import { setImmediate as nextTurn } from 'node:timers/promises'
import { ServiceError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Changes } from './changes.ts'

const RETRY_AFTER_SECONDS = 5
/** Changes evaluated before the event loop gets its turn: a few milliseconds' worth. */
const MAX_CHANGES_PER_TURN = 500

/** What a group of changes is made of and saved with. */
export interface GroupCommitOptions {
  readonly begin: () => Changes
  /** Makes the changes durable; of an empty group, the table as it is. Rejects when that failed. */
  readonly save: (changes: Changes) => Promise<void>
  /** Says an error of `save` in words for an operator, without a path. */
  readonly explain: (error: unknown) => string
  /** Pause between two attempts to save again while nothing else asks for it. */
  readonly retryMs: number
  readonly log: Log
}

interface Waiter {
  readonly evaluate: (changes: Changes) => void
  readonly settle: () => void
  readonly fail: (error: unknown) => void
}

/**
 * Saves changes in groups: all that arrive while one group is being saved form the next.
 *
 * *Promise.* A change resolves after its group is durable, and shows in the table from then on. A change that throws rejects its own caller
 * alone. A group that cannot be saved rejects its own callers, and leaves the table as it was. After a failure the table is saved again,
 * until that succeeds, without anybody asking.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions
  #queue: Waiter[] = []
  #work: Promise<void> | undefined
  #failure: string | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #isRetryDue = false
  #isStopped = false

  constructor (options: GroupCommitOptions) {
    this.#options = options
  }

  /** Why the last group could not be saved; undefined when it could. */
  get failure (): string | undefined {
    return this.#failure
  }

  /** Evaluates a change at the start of its group and resolves to what it returns. */
  change<T> (change: (changes: Changes) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let settle = (): void => {}
      const evaluate = (changes: Changes): void => {
        try {
          const result = change(changes)
          settle = () => { resolve(result) }
        } catch (error) {
          settle = () => { reject(error) }
        }
      }
      this.#queue.push({ evaluate, settle: () => { settle() }, fail: reject })
      this.#start()
    })
  }

  /** Waits for the groups under way; nothing is tried again after that. */
  async stop (): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#retryTimer)
    while (this.#work !== undefined) await this.#work
  }

  #start (): void {
    this.#work ??= this.#run()
  }

  async #run (): Promise<void> {
    // Changes that are asked for in one go belong to one group.
    await Promise.resolve()
    while (this.#queue.length > 0 || this.#isRetryDue) {
      const group = this.#queue
      const isRetry = this.#isRetryDue
      this.#queue = []
      this.#isRetryDue = false
      await this.#commit(group, isRetry)
    }
    this.#work = undefined
  }

  async #commit (group: readonly Waiter[], isRetry: boolean): Promise<void> {
    try {
      const changes = this.#options.begin()
      for (const [index, waiter] of group.entries()) {
        waiter.evaluate(changes)
        if (index % MAX_CHANGES_PER_TURN === MAX_CHANGES_PER_TURN - 1) await nextTurn()
      }
      if (changes.size > 0 || isRetry) {
        await this.#options.save(changes)
        this.#recover()
      }
      changes.apply()
      for (const waiter of group) waiter.settle()
    } catch (cause) {
      this.#fail(cause)
      // Refusals too: one that was decided upon a change of this group may be wrong now.
      for (const waiter of group) waiter.fail(new ServiceError('STORE_UNAVAILABLE', { cause, retryAfterSeconds: RETRY_AFTER_SECONDS }))
    }
  }

  #fail (error: unknown): void {
    const reason = this.#options.explain(error)
    if (this.#failure !== reason) this.#options.log.error({ err: error }, `Sessions cannot be saved: ${reason}`)
    this.#failure = reason
    clearTimeout(this.#retryTimer)
    if (this.#isStopped) return
    this.#retryTimer = setTimeout(() => {
      this.#isRetryDue = true
      this.#start()
    }, this.#options.retryMs)
    // A process that has nothing else to do may end.
    this.#retryTimer.unref()
  }

  #recover (): void {
    if (this.#failure === undefined) return
    this.#failure = undefined
    clearTimeout(this.#retryTimer)
    this.#options.log.info({}, 'Sessions can be saved again')
  }
}
