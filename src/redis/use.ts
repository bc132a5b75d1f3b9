import type { Redis } from 'ioredis'
import { KEY_PREFIX } from './client.ts'
import { isReply } from './errors.ts'

/** Keys looked at in one command. */
const SCAN_COUNT = 5000

/**
 * What tells that a service works with the database, in words; undefined if nothing does. To be called while this process has one connection.
 *
 * *Not promised.* A service behind a proxy, or where this user may not ask who is connected, shows itself by its turns alone.
 */
export async function findRedisUse (client: Redis): Promise<string | undefined> {
  const others = await countOthers(client)
  if (others > 0) return `a service is connected (${others} connections)`
  return await hasTurns(client) ? 'turns run or wait' : undefined
}

async function countOthers (client: Redis): Promise<number> {
  try {
    const [own, list] = await Promise.all([client.client('ID'), client.client('LIST')])
    return String(list).split('\n').filter(line => / name=holdline(?: |$)/.test(line) && !line.startsWith(`id=${own} `)).length
  } catch (error) {
    // It may not be allowed to ask.
    if (isReply(error)) return 0
    throw error
  }
}

async function hasTurns (client: Redis): Promise<boolean> {
  for (let cursor = '0'; ;) {
    const [next, leases] = await client.scan(cursor, 'MATCH', `${KEY_PREFIX}lease:*`, 'COUNT', SCAN_COUNT)
    if (leases.length > 0) return true
    if (next === '0') return false
    cursor = next
  }
}
