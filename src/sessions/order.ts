import type { Session } from './session.ts'
import { Tally } from './tally.ts'

/** A place in the order of activity. */
export type Position = Pick<Session, 'lastActivityMs' | 'sessionId'>

const MAX_BUCKET = 512

/** Longest silent first; of the same millisecond, by id. Negative when `a` comes first. */
export function compareActivity (a: Position, b: Position): number {
  return a.lastActivityMs - b.lastActivityMs || (a.sessionId < b.sessionId ? -1 : Number(a.sessionId > b.sessionId))
}

/** Times stand beside the sessions as bare numbers: a search that goes from object to object waits for the memory at each step. */
interface Bucket { readonly timesMs: number[], readonly sessions: Session[], readonly tally: Tally }

/**
 * Sessions in the order of their last activity, as a sorted list cut into buckets. Adding, removing and seeking touch one bucket,
 * wherever in the order that is: a clock that steps back costs nothing. Counting looks at the sessions of one bucket and at the sums of the others.
 */
export class ActivityOrder {
  readonly #buckets: Bucket[] = []

  add (session: Session): void {
    const last = this.#buckets[this.#buckets.length - 1]
    if (last === undefined || (last.sessions.length >= MAX_BUCKET && comesAfter(session, last))) {
      this.#buckets.push(makeBucket([session]))
      return
    }
    const index = Math.min(this.#findBucket(session), this.#buckets.length - 1)
    const bucket = this.#buckets[index]
    if (bucket === undefined) return
    const place = findIn(bucket, session)
    bucket.sessions.splice(place, 0, session)
    bucket.timesMs.splice(place, 0, session.lastActivityMs)
    bucket.tally.add(session)
    if (bucket.sessions.length <= MAX_BUCKET) return
    bucket.timesMs.length = MAX_BUCKET / 2
    const half = makeBucket(bucket.sessions.splice(MAX_BUCKET / 2))
    bucket.tally.removeAll(half.tally)
    this.#buckets.splice(index + 1, 0, half)
  }

  remove (session: Session): void {
    const index = this.#findBucket(session)
    const bucket = this.#buckets[index]
    if (bucket === undefined) return
    const place = findIn(bucket, session)
    if (bucket.sessions[place]?.sessionId !== session.sessionId) return
    bucket.sessions.splice(place, 1)
    bucket.timesMs.splice(place, 1)
    bucket.tally.remove(session)
    if (bucket.sessions.length === 0) this.#buckets.splice(index, 1)
  }

  /** All in order, beginning behind a position if one is given. The order must not change meanwhile. */
  * walk (after?: Position): Generator<Session> {
    let index = after === undefined ? 0 : this.#findBucket(after)
    const first = this.#buckets[index]
    let place = after === undefined || first === undefined ? 0 : findIn(first, after)
    for (let bucket = first; bucket !== undefined; bucket = this.#buckets[++index], place = 0) {
      for (let session = bucket.sessions[place]; session !== undefined; session = bucket.sessions[++place]) {
        if (after === undefined || compareActivity(session, after) > 0) yield session
      }
    }
  }

  /** Counts the sessions whose last activity is before the cut-off. */
  tallyBefore (cutoffMs: number): Tally {
    const tally = new Tally()
    const cutoff = { lastActivityMs: cutoffMs, sessionId: '' }
    for (const bucket of this.#buckets) {
      if (comesAfter(cutoff, bucket)) {
        tally.addAll(bucket.tally)
        continue
      }
      for (const session of bucket.sessions.slice(0, findIn(bucket, cutoff))) tally.add(session)
      break
    }
    return tally
  }

  /** The first bucket that ends at or behind the position. */
  #findBucket (position: Position): number {
    let low = 0
    let high = this.#buckets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const bucket = this.#buckets[middle]
      if (bucket !== undefined && comesAfter(position, bucket)) low = middle + 1
      else high = middle
    }
    return low
  }
}

function makeBucket (sessions: Session[]): Bucket {
  const tally = new Tally()
  for (const session of sessions) tally.add(session)
  return { timesMs: sessions.map(({ lastActivityMs }) => lastActivityMs), sessions, tally }
}

function comesAfter (position: Position, { timesMs, sessions }: Bucket): boolean {
  const end = timesMs.length - 1
  const lastMs = timesMs[end]
  if (lastMs === undefined || position.lastActivityMs !== lastMs) return lastMs !== undefined && position.lastActivityMs > lastMs
  const last = sessions[end]
  return last !== undefined && compareActivity(position, last) > 0
}

/** The place of the first session at or behind the position. */
function findIn ({ timesMs, sessions }: Bucket, position: Position): number {
  let low = 0
  let high = timesMs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const timeMs = timesMs[middle] ?? 0
    const session = timeMs === position.lastActivityMs ? sessions[middle] : undefined
    const isBefore = session === undefined ? timeMs < position.lastActivityMs : compareActivity(session, position) < 0
    if (isBefore) low = middle + 1
    else high = middle
  }
  return low
}
