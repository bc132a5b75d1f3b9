import type { PoolClient } from 'pg'
import { ServiceError } from '../../errors.ts'
import { isLeaseLost } from '../../postgres/errors.ts'
import type { PostgresPool } from '../../postgres/pool.ts'
import { refuseConversation } from '../disk-error.ts'
import { refuseTakenOver } from '../lost-lease.ts'
import type { Statement } from './statement.ts'

/** A value that does not fit its column, or is too large: the fault of whoever wrote it, and no sign that nothing else can be written. */
const VALUE_REFUSED = /^(?:22|54)/

/** Sends a statement; its rows are to be looked at before they are believed. */
export type Send = (statement: Pick<Statement, 'text' | 'values'>) => Promise<unknown[]>

/**
 * The one way to the tables of the conversations.
 *
 * *Promise.* Whatever Postgres fails with reaches the caller as CONVERSATIONS_UNAVAILABLE, and a write whose lease is lost as TURN_TAKEN_OVER. An
 * error about a value that cannot be written is thrown as it is.
 */
export class ConversationTables {
  readonly #pool: PostgresPool

  constructor (pool: PostgresPool) {
    this.#pool = pool
  }

  readonly send: Send = async ({ text, values }) => {
    return await judge(async () => await this.#pool.query(text, values))
  }

  /** Runs statements that take effect together, or not at all. */
  async transact<T> (run: (send: Send) => Promise<T>): Promise<T> {
    return await judge(async () => await this.#pool.transaction(async client => await run(makeSend(client))))
  }
}

function makeSend (client: PoolClient): Send {
  return async ({ text, values }) => (await client.query<Record<string, unknown>>(text, [...values])).rows
}

async function judge<T> (work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ServiceError) throw error
    if (isLeaseLost(error)) throw refuseTakenOver(error)
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
    throw typeof code === 'string' && VALUE_REFUSED.test(code) ? error : refuseConversation(error)
  }
}
