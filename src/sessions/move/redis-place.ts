import type { RedisConnection } from '../../redis/client.ts'
import { MOVE_KEY } from '../../redis/unfinished-move.ts'
import type { SessionRecord } from '../kept-session.ts'
import { READ_LUA, WRITE_LUA } from '../redis/lua.ts'
import { listValues, readRow } from '../redis/row.ts'
import type { RecordBatches, SessionPlace } from './place.ts'
import { findAskedMs } from './record.ts'

/** Read or written in one script: a server that others share waits for a few milliseconds. */
const PART = 200

/** Values of a session that a script takes. */
const WIDTH = 10

/** Redis drops a session that nobody sweeps; a service that does not run does not sweep. */
const LEAST_TTL_MS = 30 * 24 * 60 * 60 * 1000

/** Arguments: how many sessions to pass over, how many to read. Answers how many it looked at, and those that can be read. */
const READ = `${READ_LUA}
local ids, found = redis.call('ZRANGE', ACTIVITY, ARGV[1], ARGV[1] + ARGV[2] - 1), {}
for _, id in ipairs(ids) do found[#found + 1] = read_row(id) end
return {#ids, found}
`

/** Arguments: ids. Answers the sessions that are there. */
const FIND = `${READ_LUA}
local found = {}
for _, id in ipairs(ARGV) do found[#found + 1] = read_row(id) end
return found
`

/** Arguments: time to live, then ${WIDTH} values of each session. */
const WRITE = `${WRITE_LUA}
for at = 2, #ARGV, ${WIDTH} do write_row(at, ARGV[1], '') end
`

/** Arguments: ids. */
const REMOVE = `${WRITE_LUA}
for _, id in ipairs(ARGV) do
  local row = read_row(id)
  if row then remove_row(row) else drop_places(id) end
end
`

/** Sessions in the hashes that a service has them in. The connection is the caller's to close. */
export class RedisSessionPlace implements SessionPlace {
  readonly isWrittenAnew = false
  readonly #connection: RedisConnection
  readonly #ttlMs: number
  #gone = 0
  #unreadable = 0

  /** @param timeoutMs The silence after which a session has expired. */
  constructor (connection: RedisConnection, timeoutMs: number) {
    this.#connection = connection
    this.#ttlMs = Math.max(Math.ceil(2 * timeoutMs), LEAST_TTL_MS)
  }

  get notes (): readonly string[] {
    return [
      ...this.#gone === 0 ? [] : [`Sessions that Redis has dropped by itself, of which only the places are left: ${this.#gone}`],
      ...this.#unreadable === 0 ? [] : [`Sessions whose hashes lack a field, or hold no number where one belongs, and stay behind: ${this.#unreadable}`]
    ]
  }

  /** Longest silent first. */
  async * read (): AsyncGenerator<SessionRecord[]> {
    let gone = 0
    let unreadable = 0
    for (let from = 0, looked = PART; looked === PART; from += looked) {
      const answer = await this.#connection.read(READ, from, PART)
      if (!Array.isArray(answer) || typeof answer[0] !== 'number') throw new TypeError('A script answers no sessions')
      looked = answer[0]
      const { records, unreadable: left } = readRows(answer[1])
      gone += looked - records.length - left
      unreadable += left
      if (records.length > 0) yield records
    }
    this.#gone = gone
    this.#unreadable = unreadable
  }

  async find (sessionIds: readonly string[]): Promise<Map<string, SessionRecord>> {
    const found = new Map<string, SessionRecord>()
    for (const ids of cut(sessionIds)) {
      for (const record of readRows(await this.#connection.read(FIND, ...ids)).records) found.set(record.sessionId, record)
    }
    return found
  }

  async write (batches: RecordBatches): Promise<void> {
    for await (const records of batches) {
      // Sent one behind the other, answered in their order: the way there and back is taken once a batch.
      await Promise.all(cut(records).map(async part => {
        const values = part.flatMap(record => listValues({ ...record, askedMs: findAskedMs(record) }))
        await this.#connection.run(WRITE, this.#ttlMs, ...values)
      }))
    }
  }

  check (): void {}

  async remove (sessionIds: readonly string[]): Promise<void> {
    for (const ids of cut(sessionIds)) await this.#connection.run(REMOVE, ...ids)
  }

  async readMark (): Promise<string | undefined> {
    return await this.#connection.client.get(MOVE_KEY) ?? undefined
  }

  async mark (source: string): Promise<void> {
    await this.#connection.client.set(MOVE_KEY, source)
  }

  async unmark (): Promise<void> {
    await this.#connection.client.del(MOVE_KEY)
  }

  async close (): Promise<void> {}
}

function cut<T> (items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / PART) }, (_, index) => items.slice(index * PART, (index + 1) * PART))
}

/** What `read_row` answers of each session. A service leaves out, too, what cannot be read. */
function readRows (rows: unknown): { readonly records: SessionRecord[], readonly unreadable: number } {
  if (!Array.isArray(rows)) throw new TypeError('A script answers no list of sessions')
  const records = rows.flatMap((row: unknown) => {
    try {
      return [readRow(row).record]
    } catch {
      return []
    }
  })
  return { records, unreadable: rows.length - records.length }
}
