import { Redis } from 'ioredis'
import { makeSessions, touch } from '../workload.ts'
import type { Peer } from './peer.ts'

/**
 * Connects to a server that is running and empty.
 *
 * @param isPipelined Commands of one turn of the event loop travel together. Faster, unless the server syncs before each answer: it then
 * syncs for what arrives meanwhile at once anyway, and goes on working while the next command is being made.
 */
export async function openRedis ({ port, isPipelined }: { port: number, isPipelined: boolean }, count: number): Promise<Peer> {
  const redis = new Redis({ host: '127.0.0.1', port, enableAutoPipelining: isPipelined })
  const sessions = makeSessions(count)
  const save = async (index: number): Promise<void> => {
    const session = sessions[index]
    if (session === undefined) throw new RangeError(`There is no session ${index}`)
    const touched = touch(session)
    await redis.hset(`session:${touched.sessionId}`, 'session', JSON.stringify(touched))
    sessions[index] = touched
  }
  for (let index = 0; index < count; index += 1000) {
    await Promise.all(sessions.slice(index, index + 1000).map((_, offset) => save(index + offset)))
  }
  return { write: save, close: async () => { redis.disconnect() } }
}
