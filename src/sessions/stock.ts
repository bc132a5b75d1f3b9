import type { LoadReport, SessionStore } from './store.ts'

/** Sessions on a server, which other replicas may be working with, and how long they live. */
export interface StockOptions {
  readonly changes: Pick<SessionStore, 'removeSilentSince'> & {
    /** Of at most `limit` sessions whose last activity is still to come, makes it `nowMs`. Resolves to how many they were. */
    bringToNow (nowMs: number, limit: number): Promise<number>
  }
  readonly reads: Pick<SessionStore, 'findThreads'>
  readonly count: SessionStore['count']
  readonly nowMs: number
  readonly timeoutMs: number
}

/** Changed in one go. */
const BATCH = 500

/** No start takes longer for the sake of what has expired; the sweep removes the rest. */
const MAX_MS = 10_000

/** Threads that are asked about at once. */
const MAX_THREADS = 5000

/**
 * What a start does: a clock that was ahead for a while does not keep a session alive for as long, and what has expired is removed. With several
 * replicas that start, each session is reported by one.
 */
export async function takeStock ({ changes, reads, count, nowMs, timeoutMs }: StockOptions): Promise<LoadReport> {
  const endsAtMs = performance.now() + MAX_MS
  while (await changes.bringToNow(nowMs, BATCH) === BATCH && performance.now() < endsAtMs);
  const threads: string[] = []
  for (let removed = BATCH; removed === BATCH && performance.now() < endsAtMs;) {
    const batch = await changes.removeSilentSince(nowMs - timeoutMs, BATCH)
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
  return { loaded: (await count()).count, rejected: 0, expired: threads.length, expiredThreads }
}
