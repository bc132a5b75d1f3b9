import { ServiceError } from '../errors.ts'
import type { Log } from '../log.ts'

const RETRY_AFTER_SECONDS = 5
/** What is evaluated, formatted and applied before the event loop gets its turn: a few milliseconds' worth, however long the rows. */
const MAX_GROUP = { changes: 256, weight: 128 * 1024 }

/** Changes that are saved together. */
export interface Group {
  /** How many sessions it changes. */
  readonly size: number
  /** How much there is to format and to write: roughly bytes. */
  readonly weight: number
}

/** What a group of changes is made of and saved with. */
export interface GroupCommitOptions<Changes extends Group> {
  readonly begin: () => Changes
  /** Makes the changes durable; rejects when that failed. */
  readonly save: (group: Changes) => Promise<void>
  /** Shows the changes to all. */
  readonly apply: (group: Changes) => void
  /** Called between two groups after `wake`, and after a failure: rejects when what is there cannot be saved. */
  readonly maintain: () => Promise<void>
  /** Says an error of `save` in words for an operator, without a path. */
  readonly explain: (error: unknown) => string
  /** Pause between two attempts to save again while nothing else asks for it. */
  readonly retryMs: () => number
  readonly log: Log
}

/**
 * Saves changes in groups: all that arrive while one group is being saved form the next, up to a bound.
 *
 * *Promise.* A change resolves after its group is durable, and shows in the table from then on. A change that throws rejects its own caller
 * alone. A group that cannot be saved rejects its own callers, and leaves the table as it was. After a failure saving is tried again,
 * until that succeeds, without anybody asking.
 */
export class GroupCommit<Changes extends Group> {
  readonly #options: GroupCommitOptions<Changes>
  #queue: Array<Waiter<Changes>> = []
  #work: Promise<void> | undefined
  #failure: string | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #isWoken = false
  #isStopped = false

  constructor (options: GroupCommitOptions<Changes>) {
    this.#options = options
  }

  /** Why the last group could not be saved; undefined when it could. */
  get failure (): string | undefined {
    return this.#failure
  }

  /** Evaluates a change at the start of its group and resolves to what it returns. */
  change<T> (change: (group: Changes) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#queue.push(new ChangeWaiter(change, resolve, reject))
      this.#work ??= this.#run()
    })
  }

  /** Has `maintain` called between two groups. */
  wake (): void {
    if (this.#isStopped) return
    this.#isWoken = true
    this.#work ??= this.#run()
  }

  /** Waits for the groups under way; nothing is tried again after that. */
  async stop (): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#retryTimer)
    while (this.#work !== undefined) await this.#work
  }

  async #run (): Promise<void> {
    // Changes that are asked for in one go belong to one group.
    await Promise.resolve()
    while (this.#queue.length > 0 || this.#isWoken) {
      if (this.#isWoken) await this.#maintain()
      if (this.#queue.length > 0) await this.#commit()
    }
    this.#work = undefined
  }

  async #maintain (): Promise<void> {
    this.#isWoken = false
    try {
      await this.#options.maintain()
      this.#recover()
    } catch (error) {
      this.#fail(error)
    }
  }

  async #commit (): Promise<void> {
    const waiters: Array<Waiter<Changes>> = []
    try {
      const group = this.#options.begin()
      for (const waiter of this.#queue) {
        waiter.evaluate(group)
        waiters.push(waiter)
        if (waiters.length === MAX_GROUP.changes || group.weight > MAX_GROUP.weight) break
      }
      this.#queue.splice(0, waiters.length)
      if (group.size > 0) {
        await this.#options.save(group)
        this.#recover()
        this.#options.apply(group)
      }
      for (const waiter of waiters) waiter.settle()
    } catch (cause) {
      this.#fail(cause)
      // Refusals too: one that was decided upon a change of this group may be wrong now.
      for (const waiter of waiters) waiter.fail(new ServiceError('STORE_UNAVAILABLE', { cause, retryAfterSeconds: RETRY_AFTER_SECONDS }))
    }
  }

  #fail (error: unknown): void {
    const reason = this.#options.explain(error)
    if (this.#failure !== reason) this.#options.log.error({ err: error }, `Sessions cannot be saved: ${reason}`)
    this.#failure = reason
    // One that is set stays: changes that keep failing must not put the next attempt off.
    if (this.#isStopped || this.#retryTimer !== undefined) return
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      this.wake()
    }, this.#options.retryMs())
    // A process that has nothing else to do may end.
    this.#retryTimer.unref()
  }

  #recover (): void {
    if (this.#failure === undefined) return
    this.#failure = undefined
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
    this.#options.log.info({}, 'Sessions can be saved again')
  }
}

/** A caller that waits for its change. */
interface Waiter<Changes> {
  evaluate (group: Changes): void
  settle (): void
  fail (error: unknown): void
}

class ChangeWaiter<Changes, T> implements Waiter<Changes> {
  readonly #change: (group: Changes) => T
  readonly #resolve: (result: T) => void
  readonly #reject: (error: unknown) => void
  #outcome: { readonly result: T } | { readonly error: unknown } | undefined

  constructor (change: (group: Changes) => T, resolve: (result: T) => void, reject: (error: unknown) => void) {
    this.#change = change
    this.#resolve = resolve
    this.#reject = reject
  }

  evaluate (group: Changes): void {
    try {
      this.#outcome = { result: this.#change(group) }
    } catch (error) {
      this.#outcome = { error }
    }
  }

  settle (): void {
    if (this.#outcome === undefined) throw new TypeError('A change is evaluated before it is saved')
    if ('result' in this.#outcome) this.#resolve(this.#outcome.result)
    else this.#reject(this.#outcome.error)
  }

  fail (error: unknown): void {
    this.#reject(error)
  }
}
