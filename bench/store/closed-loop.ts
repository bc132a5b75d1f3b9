/** What a load came to. */
export interface Measure {
  readonly writesPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/**
 * Lets each of `writers` write again and again for `durationMs`, one write after another.
 *
 * What has begun is waited for and counts, with the time that it takes: a slow peer would else be measured by its fast writes alone.
 */
export async function driveWriters (writers: number, durationMs: number, write: () => Promise<void>): Promise<Measure> {
  const latencies: number[] = []
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: writers }, async () => {
    for (let before = performance.now(); before < startedAt + durationMs;) {
      await write()
      const after = performance.now()
      latencies.push(after - before)
      before = after
    }
  }))
  const seconds = (performance.now() - startedAt) / 1000
  const sorted = Float64Array.from(latencies).sort()
  const percentile = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { writesPerSecond: latencies.length / seconds, p50Ms: percentile(0.5), p99Ms: percentile(0.99) }
}
