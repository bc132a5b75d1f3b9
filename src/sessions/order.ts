import type { Session } from './session.ts'

/** A place in the order of activity. */
export type Position = Pick<Session, 'lastActivityMs' | 'sessionId'>

const MAX_BUCKET = 512

/** Longest silent first; of the same millisecond, by id. Negative when `a` comes first. */
export function compareActivity (a: Position, b: Position): number {
  return a.lastActivityMs - b.lastActivityMs || (a.sessionId < b.sessionId ? -1 : Number(a.sessionId > b.sessionId))
}

/**
 * Sessions in the order of their last activity, as a sorted list cut into buckets. Adding, removing and seeking touch one bucket,
 * wherever in the order that is: a clock that steps back costs nothing.
 */
export class ActivityOrder {
  readonly #buckets: Session[][] = []

  add (session: Session): void {
    const last = this.#buckets.at(-1)
    if (last === undefined || (last.length >= MAX_BUCKET && comesAfter(session, last))) {
      this.#buckets.push([session])
      return
    }
    const index = Math.min(this.#findBucket(session), this.#buckets.length - 1)
    const bucket = this.#buckets[index]
    if (bucket === undefined) return
    bucket.splice(findIn(bucket, session), 0, session)
    if (bucket.length > MAX_BUCKET) this.#buckets.splice(index + 1, 0, bucket.splice(MAX_BUCKET / 2))
  }

  remove (session: Session): void {
    const index = this.#findBucket(session)
    const bucket = this.#buckets[index]
    if (bucket === undefined) return
    const place = findIn(bucket, session)
    if (bucket[place]?.sessionId !== session.sessionId) return
    bucket.splice(place, 1)
    if (bucket.length === 0) this.#buckets.splice(index, 1)
  }

  /** All in order, beginning behind a position if one is given. The order must not change meanwhile. */
  * walk (after?: Position): Generator<Session> {
    let index = after === undefined ? 0 : this.#findBucket(after)
    let place = after === undefined ? 0 : findIn(this.#buckets[index] ?? [], after)
    for (let bucket = this.#buckets[index]; bucket !== undefined; bucket = this.#buckets[++index], place = 0) {
      for (let session = bucket[place]; session !== undefined; session = bucket[++place]) {
        if (after === undefined || compareActivity(session, after) > 0) yield session
      }
    }
  }

  /** The first bucket that ends at or behind the position. */
  #findBucket (position: Position): number {
    return findFirst(this.#buckets.length, (index) => !comesAfter(position, this.#buckets[index] ?? []))
  }
}

function comesAfter (position: Position, bucket: readonly Session[]): boolean {
  const last = bucket.at(-1)
  return last !== undefined && compareActivity(position, last) > 0
}

function findIn (bucket: readonly Session[], position: Position): number {
  return findFirst(bucket.length, (index) => {
    const session = bucket[index]
    return session !== undefined && compareActivity(session, position) >= 0
  })
}

function findFirst (length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
