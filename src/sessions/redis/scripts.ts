import { randomBytes } from 'node:crypto'
import { ServiceError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { RedisConnection, ScriptArgument } from '../../redis/client.ts'
import { explainRedisError, isLeaseLost, isReply, isTimeout } from '../../redis/errors.ts'
import { currentLease } from '../../turn-lease.ts'
import type { KeptSession } from '../kept-session.ts'
import type { Session } from '../session.ts'
import type { StoreObserver } from '../store.ts'
import { parseHash, parseRow } from './row.ts'

const RETRY_AFTER_SECONDS = 5

/** What scripts are run with. */
export interface SessionScriptsOptions {
  readonly connection: Pick<RedisConnection, 'run' | 'read'>
  readonly log: Log
  readonly observer: StoreObserver
}

/**
 * Runs the scripts of the store.
 *
 * *Promise.* A change under a lease is made only if the lease is good, in one step with the check of it. What fails is said as the contract says it.
 */
export class SessionScripts {
  readonly #options: SessionScriptsOptions

  constructor (options: SessionScriptsOptions) {
    this.#options = options
  }

  async read (lua: string, ...args: readonly ScriptArgument[]): Promise<unknown> {
    try {
      return await this.#options.connection.read(lua, ...args)
    } catch (error) {
      throw refuseSession(error)
    }
  }

  /** Changes something: the lease comes before the arguments. */
  async change (lua: string, ...args: readonly ScriptArgument[]): Promise<unknown> {
    return await this.#observe(() => this.#options.connection.run(lua, leaseId(), ...args))
  }

  /**
   * Writes a session: the lease and the name of the write come before the arguments. Where the connection is lost before the answer, it is sent once
   * more, under the same name, which tells whether it was made. `wasCutOff` says that it was.
   */
  async write (lua: string, ...args: readonly ScriptArgument[]): Promise<{ readonly answer: unknown, readonly wasCutOff: boolean }> {
    const { connection } = this.#options
    const named = [leaseId(), randomBytes(9).toString('base64url'), ...args]
    return await this.#observe(async () => {
      try {
        return { answer: await connection.run(lua, ...named), wasCutOff: false }
      } catch (error) {
        if (isReply(error) || isTimeout(error)) throw error
        return { answer: await connection.run(lua, ...named), wasCutOff: true }
      }
    })
  }

  /** The sessions among what a script answers. One that cannot be read is left out: others are not to suffer from it. */
  parseRows (rows: unknown): KeptSession[] {
    if (!Array.isArray(rows)) throw new TypeError('A script answers no list of sessions')
    return rows.flatMap((row: unknown) => this.parse(row) ?? [])
  }

  /** The session that a script answers, if it answers one that can be read. */
  parse (row: unknown): KeptSession | undefined {
    return Array.isArray(row) ? this.#tryToRead(row[0], () => parseRow(row)) : undefined
  }

  /** The session that a hash is, if there is one, and it can be read. */
  parseHash (sessionId: string, hash: Readonly<Record<string, string>> | undefined): KeptSession | undefined {
    return hash === undefined ? undefined : this.#tryToRead(sessionId, () => parseHash(sessionId, hash))
  }

  #tryToRead (sessionId: unknown, read: () => KeptSession): KeptSession | undefined {
    try {
      return read()
    } catch (error) {
      const consequence = 'until it is put right or removed, the session is left out'
      this.#options.log.error({ err: error, session_id: sessionId }, `The hash of a session in Redis cannot be read; ${consequence}`)
      return undefined
    }
  }

  async #observe<T> (run: () => Promise<T>): Promise<T> {
    const { observer } = this.#options
    const startedMs = performance.now()
    try {
      const result = await run()
      observer.saved(1, performance.now() - startedMs)
      return result
    } catch (error) {
      observer.refused(1)
      throw refuseSession(error)
    }
  }
}

/** The sessions alone. */
export function listSessions (kept: readonly KeptSession[]): Session[] {
  return kept.map(({ session }) => session)
}

/** Of the turn in which a change is made. */
function leaseId (): string {
  return currentLease()?.id ?? ''
}

/** Throws what an operator gets where the sessions cannot be used from the start. */
export function refuseStart (error: unknown): never {
  const cause: unknown = error instanceof ServiceError ? error.cause : error
  throw new ServiceError('STORE_UNREACHABLE', { message: `The sessions in Redis cannot be used: ${explainRedisError(cause)}`, cause })
}

function refuseSession (cause: unknown): ServiceError {
  if (cause instanceof ServiceError) return cause
  return new ServiceError(isLeaseLost(cause) ? 'TURN_TAKEN_OVER' : 'STORE_UNAVAILABLE', { cause, retryAfterSeconds: RETRY_AFTER_SECONDS })
}
