import type { SessionReads } from './reads.ts'
import type { SessionWrites } from './writes.ts'

/** Removed in one transaction. */
const BATCH = 500

/** No start takes longer for the sake of what has expired; the sweep removes the rest. */
const MAX_MS = 10_000

/** Threads that are asked about at once. */
const MAX_THREADS = 5000

/** Removes the sessions that have expired. With several replicas that start, each of them is reported by one. */
export async function clearExpired (
  reads: SessionReads, writes: SessionWrites, cutoffMs: number
): Promise<{ readonly expired: number, readonly expiredThreads: readonly string[] }> {
  const startedMs = performance.now()
  const threads: string[] = []
  for (let removed = BATCH; removed === BATCH && performance.now() - startedMs < MAX_MS;) {
    const batch = await writes.removeSilent(cutoffMs, BATCH)
    for (const { threadId } of batch) threads.push(threadId)
    removed = batch.length
  }
  const expiredThreads: string[] = []
  const distinct = [...new Set(threads)]
  for (let place = 0; place < distinct.length; place += MAX_THREADS) {
    const asked = distinct.slice(place, place + MAX_THREADS)
    const used = await reads.findThreads(asked)
    for (const thread of asked) if (!used.has(thread)) expiredThreads.push(thread)
  }
  return { expired: threads.length, expiredThreads }
}
