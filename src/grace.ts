/** The time that a stop takes, in its parts, in milliseconds. */
export interface Grace {
  /** Turns may finish. */
  readonly drainMs: number
  /** Then they are cancelled, and may take so long to end; what does not end by then is given up. */
  readonly stopMs: number
  /** Clients may read the last events of their streams. */
  readonly flushMs: number
}

/** The rest is for the answers, the flush of the files and the exit. */
const DRAIN_SHARE = 0.7
const STOP_SHARE = 0.15
const FLUSH_SHARE = 0.05

/** Turns get that much even where there is no time at all: a claim or a reply may be on its way to the disk. */
const MIN_STOP_MS = 150
const MIN_FLUSH_MS = 100

/** Divides the time from the signal to the exit. */
export function divideGrace (graceMs: number): Grace {
  return {
    drainMs: graceMs * DRAIN_SHARE,
    stopMs: Math.max(graceMs * STOP_SHARE, MIN_STOP_MS),
    flushMs: Math.max(graceMs * FLUSH_SHARE, MIN_FLUSH_MS)
  }
}
