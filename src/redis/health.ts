import { setTimeout as wait } from 'node:timers/promises'
import type { Log } from '../log.ts'
import { explainRedisError } from './errors.ts'

/** What a connection is watched with. */
export interface RedisHealthOptions {
  readonly log: Log
  readonly probeMs: number
  /** Rejects while the server takes no changes. */
  readonly probe: () => Promise<unknown>
}

/** What is known of a server: whether it is there, and whether it takes changes. By what was found last; each change of it is logged once. */
export class RedisHealth {
  readonly #options: RedisHealthOptions
  readonly #stop = new AbortController()
  #isUp = false
  /** Why there is no connection. */
  #lost: unknown
  /** Why it takes no changes, though there is a connection. */
  #refusal: string | undefined
  #probing: Promise<void> | undefined

  constructor (options: RedisHealthOptions) {
    this.#options = options
  }

  /** Why there is no connection, or was none before there was one. */
  get lost (): unknown {
    return this.#lost
  }

  status (): { readonly canSave: boolean, readonly reason?: string } {
    if (this.#stop.signal.aborted) return { canSave: false, reason: 'the connection to Redis is closed' }
    if (!this.#isUp) return { canSave: false, reason: `Redis: ${explainRedisError(this.#lost)}` }
    return this.#refusal === undefined ? { canSave: true } : { canSave: false, reason: `Redis: ${this.#refusal}` }
  }

  /** There is a connection. */
  noteUp (): void {
    if (this.#lost !== undefined) this.#options.log.info({}, 'Redis is there: sessions are read and saved')
    this.#isUp = true
    this.#lost = undefined
  }

  /** Something went wrong with the connection, which may go on. */
  noteError (error: unknown): void {
    this.#lost = error
  }

  /** There is no connection. */
  noteDown (): void {
    this.#lost ??= new Error('Connection is closed')
    if (!this.#isUp || this.#stop.signal.aborted) return
    this.#isUp = false
    const reason = explainRedisError(this.#lost)
    this.#options.log.error({ err: this.#lost }, `Redis: ${reason}. Sessions can be neither read nor saved until it is there again; it is tried again and again`)
  }

  /** A change was taken. */
  noteSuccess (): void {
    if (this.#refusal === undefined) return
    this.#refusal = undefined
    this.#options.log.info({}, 'Redis takes changes again')
  }

  /** A change was refused, or not answered. */
  noteRefusal (error: unknown): void {
    if (!this.#isUp || this.#stop.signal.aborted) return
    const refusal = explainRedisError(error)
    if (this.#refusal !== refusal) this.#options.log.error({ err: error }, `Redis: ${refusal}. Changes of sessions are refused until it takes them again`)
    this.#refusal = refusal
    this.#probing ??= this.#probeUntilSuccess().finally(() => { this.#probing = undefined })
  }

  async stop (): Promise<void> {
    this.#stop.abort()
    await this.#probing
  }

  /** Whoever reads the status may send nothing until it is a good one: then no change would ever find that out. */
  async #probeUntilSuccess (): Promise<void> {
    const { signal } = this.#stop
    while (this.#refusal !== undefined && !signal.aborted) {
      await wait(this.#options.probeMs, undefined, { ref: false, signal }).catch(() => {})
      await this.#options.probe().then(() => { this.noteSuccess() }, () => {})
    }
  }
}
