import type { SessionChanges } from './session-changes.ts'
import type { SessionReads } from './session-reads.ts'

/** Removed in one go. */
const BATCH = 100

/** No start takes longer for the sake of what has expired; the sweep removes the rest. */
const MAX_MS = 10_000

/** Removes the sessions that have expired. With several replicas that start, each of them is reported by one. */
export async function clearExpired (
  reads: SessionReads, changes: SessionChanges, cutoffMs: number
): Promise<{ readonly expired: number, readonly expiredThreads: readonly string[] }> {
  const startedMs = performance.now()
  const threads: string[] = []
  for (let removed = BATCH; removed === BATCH && performance.now() - startedMs < MAX_MS;) {
    const batch = await changes.removeSilentSince(cutoffMs, BATCH)
    for (const { threadId } of batch) threads.push(threadId)
    removed = batch.length
  }
  const used = await reads.findThreads(threads)
  return { expired: threads.length, expiredThreads: [...new Set(threads)].filter(thread => !used.has(thread)) }
}
