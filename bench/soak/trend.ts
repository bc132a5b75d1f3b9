/** A value, and when it was measured. */
export interface Point {
  readonly atMs: number
  readonly value: number
}

/** The middle one; of an even number, the mean of both. */
export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  const upper = sorted[Math.floor(half)] ?? Number.NaN
  return Number.isInteger(half) ? (upper + (sorted[half - 1] ?? Number.NaN)) / 2 : upper
}

/** The value below which such a share of them lies. */
export function percentile (values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
}

/**
 * By how much values rose from the first to the last, by the median of the slopes between all pairs of points (Theil and Sen): up to a quarter of
 * the points may be anywhere and change nothing.
 */
export function measureDrift (points: readonly Point[]): number {
  const slopes: number[] = []
  for (const [index, from] of points.entries()) {
    for (const to of points.slice(index + 1)) slopes.push((to.value - from.value) / (to.atMs - from.atMs))
  }
  const span = (points.at(-1)?.atMs ?? 0) - (points[0]?.atMs ?? 0)
  return slopes.length === 0 ? 0 : median(slopes) * span
}
