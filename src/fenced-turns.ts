import { ServiceError } from './errors.ts'
import type { PostgresTurnFences } from './postgres/turn-fences.ts'
import type { RedisConnection } from './redis/client.ts'
import type { RedisTurns } from './sessions/redis/store.ts'
import type { LockOptions } from './sessions/store.ts'

/** The number of a lease, if it is good still. */
const FIND_FENCE = "return redis.call('HGET', '{holdline}:lease:' .. ARGV[1], 'fence')"

/** What turns are lent with. */
export interface FencedTurnsOptions {
  readonly turns: RedisTurns
  readonly connection: Pick<RedisConnection, 'read'>
  readonly fences: PostgresTurnFences
}

/**
 * Turns that are queued in Redis, and write conversations to Postgres.
 *
 * *Promise.* A turn begins when Postgres knows its lease: from then on it is the only one of its session whose writes are taken there, and it reads
 * all that was written before. A replica that was paused, or cut off from Redis alone, cannot write into its successor's turn, however late.
 */
export class FencedTurns implements RedisTurns {
  readonly #options: FencedTurnsOptions

  constructor (options: FencedTurnsOptions) {
    this.#options = options
  }

  async enter (sessionId: string, options?: LockOptions): ReturnType<RedisTurns['enter']> {
    const turn = await this.#options.turns.enter(sessionId, options)
    try {
      await this.#fence(sessionId, turn.lease.id)
      turn.lease.check()
      return turn
    } catch (error) {
      // Nobody who leaves waits until the server knows.
      turn.release()
      throw error
    }
  }

  async interrupt (sessionId: string): Promise<boolean> {
    return await this.#options.turns.interrupt(sessionId)
  }

  async #fence (sessionId: string, leaseId: string): Promise<void> {
    const { connection, fences } = this.#options
    let isTaken: boolean
    try {
      const fence = await connection.read(FIND_FENCE, leaseId)
      isTaken = typeof fence === 'string' && await fences.take(sessionId, leaseId, fence)
    } catch (cause) {
      throw new ServiceError('CONVERSATIONS_UNAVAILABLE', { cause, retryAfterSeconds: 5 })
    }
    if (!isTaken) throw new ServiceError('TURN_TAKEN_OVER', { retryAfterSeconds: 5 })
  }
}
