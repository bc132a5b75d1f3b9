import { monitorEventLoopDelay, PerformanceObserver, type IntervalHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

/** How long the event loop stood still; the millisecond between two looks is part of it. */
export interface Stalls {
  readonly p50Ms: number
  readonly p999Ms: number
  readonly longestMs: number
  /** How many of its stands were longer than 10 ms. */
  readonly over10Ms: number
  /** The part of the garbage collector, which stops everything too. */
  readonly longestGcMs: number
  readonly allGcMs: number
}

/** Watches the event loop of this process until asked what came of it. */
export function watchEventLoop (): () => Promise<Stalls> {
  const gcMs: number[] = []
  const observer = new PerformanceObserver(list => { gcMs.push(...list.getEntries().map(({ duration }) => duration)) })
  observer.observe({ entryTypes: ['gc'] })
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  return async () => {
    delays.disable()
    // The observer hears of a collection some turns after it.
    await sleep(20)
    observer.disconnect()
    return {
      p50Ms: delays.percentile(50) / 1e6,
      p999Ms: delays.percentile(99.9) / 1e6,
      longestMs: delays.max / 1e6,
      over10Ms: countAbove(delays, 10),
      longestGcMs: Math.max(0, ...gcMs),
      allGcMs: gcMs.reduce((sum, ms) => sum + ms, 0)
    }
  }
}

/** A histogram does not tell how many of its values are above one: the share up to it is searched for. */
function countAbove (histogram: IntervalHistogram, ms: number): number {
  let below = 0
  let above = 100
  for (let step = 0; step < 40; step++) {
    const middle = (below + above) / 2
    if (histogram.percentile(middle) <= ms * 1e6) below = middle
    else above = middle
  }
  return Math.round(histogram.count * (1 - below / 100))
}
