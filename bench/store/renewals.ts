import { stat } from 'node:fs/promises'

const POLL_MS = 20

/** How often a file was replaced. */
export interface Renewals {
  /** At most one for each look; the file may have been replaced more often. */
  readonly count: number
  /** The longest time for which it stayed the same. */
  readonly longestGapMs: number
}

/** Looks at a file every now and then until asked what came of it. A missing file is a file that stays the same. */
export async function watchRenewals (path: string): Promise<() => Renewals> {
  let seen = await identify(path)
  let seenAt = performance.now()
  let count = 0
  let longestGapMs = 0
  const endGap = (): void => {
    longestGapMs = Math.max(longestGapMs, performance.now() - seenAt)
    seenAt = performance.now()
  }
  const timer = setInterval(async () => {
    const current = await identify(path)
    if (current === seen) return
    seen = current
    count++
    endGap()
  }, POLL_MS)
  return () => {
    clearInterval(timer)
    endGap()
    return { count, longestGapMs }
  }
}

async function identify (path: string): Promise<string> {
  try {
    const { ino, mtimeNs } = await stat(path, { bigint: true })
    return `${ino} ${mtimeNs}`
  } catch {
    return 'missing'
  }
}
