import type { RequestCount } from '../request-counts.ts'
import { KEY_PREFIX, type RedisConnection } from './client.ts'

/** The window ends with the key, by the server's clock. */
const COUNT = `
local count = redis.call('INCR', ARGV[1])
local left = count == 1 and -1 or redis.call('PTTL', ARGV[1])
-- a window that does not end would count for ever
if left < 0 then
  left = tonumber(ARGV[2])
  redis.call('PEXPIRE', ARGV[1], left)
end
return { count, left }
`

/**
 * Counts of requests by key, each in windows of its own: the first request begins one.
 *
 * *Promise.* One count for all replicas.
 */
export class RedisRequestCounts {
  readonly #connection: RedisConnection

  constructor (connection: RedisConnection) {
    this.#connection = connection
  }

  /** Counts one more. All windows of one kind are of one length. */
  async add (kind: string, key: string, windowMs: number): Promise<RequestCount> {
    const answer = await this.#connection.run(COUNT, `${KEY_PREFIX}count:${kind}:${key}`, windowMs)
    const [count, leftMs] = Array.isArray(answer) ? answer : []
    return { count: Number(count), leftMs: Number(leftMs) }
  }
}
