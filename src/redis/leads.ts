import { randomUUID } from 'node:crypto'
import { KEY_PREFIX, type RedisConnection } from './client.ts'

/** Whose key it is keeps it; where there is none, whoever asks first. */
const LEAD = `
local owner = redis.call('GET', ARGV[1])
if owner and owner ~= ARGV[2] then return 0 end
redis.call('SET', ARGV[1], ARGV[2], 'PX', ARGV[3])
return 1
`

/**
 * Which replica does a task that one alone is to do.
 *
 * *Promise.* Of all that ask within the time, one is told to, and it alone may ask again.
 *
 * *Not promised.* That the one before has ended, if it takes longer than the time.
 */
export class RedisLeads {
  readonly #connection: RedisConnection
  readonly #owner = randomUUID()

  constructor (connection: RedisConnection) {
    this.#connection = connection
  }

  /** Whether it is this one. It stays it for as long as it asks again in time. */
  async take (task: string, forMs: number): Promise<boolean> {
    return await this.#connection.run(LEAD, `${KEY_PREFIX}lead:${task}`, this.#owner, Math.ceil(forMs)) === 1
  }
}
