import { measureDrift, median, type Point } from './trend.ts'

/** One thing that is measured again and again, and how much of it there may be. */
export interface Line {
  readonly what: string
  readonly unit: 'MiB' | 'KiB' | ''
  /** How much it may rise while the load is on, after the warm-up: so much, and such a share of what it is. */
  readonly rise: { readonly plus: number, readonly share: number }
  /** What may be left when the load is over and everything has expired, beyond what was there before it: undefined if that is not judged. */
  readonly left?: number
}

/** What came of a line. */
export interface LineVerdict {
  readonly line: Line
  readonly before: number
  readonly early: number
  readonly late: number
  readonly after: number
  readonly rise: number
  readonly maxRise: number
  readonly isFlat: boolean
  readonly isLeft: boolean
}

/** What was measured of a line: before the load, under it once it was warm, and when it was over. */
export interface Measured {
  readonly before: number
  readonly points: readonly Point[]
  readonly after: number
}

/** Judges a line by its trend: a value at the end says nothing, since there is always something under way. */
export function judgeLine (line: Line, { before, points, after }: Measured): LineVerdict {
  const third = Math.ceil(points.length / 3)
  const early = median(points.slice(0, third).map(({ value }) => value))
  const late = median(points.slice(-third).map(({ value }) => value))
  const isMeasured = !Number.isNaN(after)
  const rise = isMeasured ? measureDrift(points) : Number.NaN
  const maxRise = line.rise.plus + line.rise.share * early
  return {
    line,
    before,
    early,
    late,
    after,
    rise,
    maxRise,
    // Of two points and fewer, nothing follows.
    isFlat: !isMeasured || (points.length > 2 && rise <= maxRise),
    isLeft: line.left !== undefined && after > before + line.left
  }
}

const DIVISORS = { MiB: 1024 * 1024, KiB: 1024, '': 1 }

/** A row of the table: before, early, late, after, rise, allowed, verdict. */
export function formatVerdict ({ line, before, early, late, after, rise, maxRise, isFlat, isLeft }: LineVerdict): string[] {
  const format = (value: number): string => {
    const amount = value / DIVISORS[line.unit]
    return Number.isNaN(amount) ? '-' : amount.toFixed(line.unit === 'MiB' ? 1 : 0)
  }
  const flat = Number.isNaN(after) ? 'not measured' : 'flat'
  const words = [...(isFlat ? [] : [rise > maxRise ? 'RISES' : 'TOO FEW MEASUREMENTS']), ...(isLeft ? ['LEFT BEHIND'] : [])]
  return [
    line.unit === '' ? line.what : `${line.what}, ${line.unit}`,
    ...[before, early, late, after, rise, maxRise].map(format), words.length === 0 ? flat : words.join(', ')
  ]
}
