import { isReply } from './errors.ts'
import { KEY_PREFIX, type RedisConnection } from './client.ts'

/** Arguments: none. Answers how many leases of turns there are. */
const SCAN = `{${KEY_PREFIX}}lease:*`

/**
 * What tells that a service works with the database, in words; undefined if nothing does.
 *
 * *Not promised.* A service behind a proxy, or where this user may not ask who is connected, shows itself by its turns alone.
 */
export async function findRedisUse ({ client }: RedisConnection): Promise<string | undefined> {
  const [, leases] = await client.scan(0, 'MATCH', SCAN, 'COUNT', 10_000)
  if (leases.length > 0) return 'turns run or wait'
  const others = await countOthers()
  return others > 0 ? `a service is connected (${others} connections)` : undefined

  async function countOthers (): Promise<number> {
    try {
      const [own, list] = await Promise.all([client.client('ID'), client.client('LIST')])
      const lines = String(list).split('\n')
      return lines.filter(line => / name=holdline(?: |$)/.test(line) && !line.startsWith(`id=${own} `)).length
    } catch (error) {
      if (isReply(error)) return 0
      throw error
    }
  }
}
