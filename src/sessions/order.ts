import type { Session } from './session.ts'
import { Tally } from './tally.ts'

/** A place in the order of activity. */
export type Position = Pick<Session, 'lastActivityMs' | 'sessionId'>

/** Something that stands in the order. Its session must not change while it does. */
export interface Ordered {
  session: Session
  /** Where it stands: for the order alone to set. */
  bucket: Bucket | undefined
}

const MAX_SLOTS = 512

/** Longest silent first; of the same millisecond, by id. Negative when `a` comes first. */
export function compareActivity (a: Position, b: Position): number {
  return a.lastActivityMs - b.lastActivityMs || compareIds(a.sessionId, b.sessionId)
}

/**
 * A stretch of the order, as slots. A slot keeps its place in the order when what stood there has left: leaving costs no move. Times and ids
 * stand beside the sessions: a search that goes from object to object waits for the memory at each step.
 */
export interface Bucket {
  readonly timesMs: number[]
  readonly ids: string[]
  readonly entries: Array<Ordered | undefined>
  readonly tally: Tally
  /** Slots that are taken. */
  taken: number
}

/**
 * Sessions in the order of their last activity, as a sorted list cut into buckets. Adding, removing and seeking touch one bucket,
 * wherever in the order that is: a clock that steps back costs nothing. Counting looks at the sessions of one bucket and at the sums of the others.
 */
export class ActivityOrder {
  readonly #buckets: Bucket[] = []

  add (entry: Ordered): void {
    const { session } = entry
    const bucket = this.#findBucketFor(session)
    const place = findIn(bucket, session)
    if (isAt(bucket, place, session)) {
      bucket.entries[place] = entry
    } else if (place === bucket.ids.length) {
      bucket.timesMs.push(session.lastActivityMs)
      bucket.ids.push(session.sessionId)
      bucket.entries.push(entry)
    } else {
      bucket.timesMs.splice(place, 0, session.lastActivityMs)
      bucket.ids.splice(place, 0, session.sessionId)
      bucket.entries.splice(place, 0, entry)
    }
    entry.bucket = bucket
    bucket.taken++
    bucket.tally.add(session)
    if (bucket.ids.length > MAX_SLOTS) this.#relieve(bucket)
  }

  remove (entry: Ordered): void {
    const { session, bucket } = entry
    if (bucket === undefined) return
    entry.bucket = undefined
    bucket.entries[findSlot(bucket, entry)] = undefined
    bucket.taken--
    bucket.tally.remove(session)
    if (bucket.taken * 3 < bucket.ids.length) this.#shrink(bucket)
  }

  /** All in order, beginning behind a position if one is given. The order must not change meanwhile. */
  * walk (after?: Position): Generator<Session> {
    let index = after === undefined ? 0 : this.#findIndex(after)
    const first = this.#buckets[index]
    let place = after === undefined || first === undefined ? 0 : findIn(first, after)
    for (let bucket = first; bucket !== undefined; bucket = this.#buckets[++index], place = 0) {
      for (; place < bucket.entries.length; place++) {
        const session = bucket.entries[place]?.session
        if (session !== undefined && (after === undefined || compareActivity(session, after) > 0)) yield session
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
      for (const entry of bucket.entries.slice(0, findIn(bucket, cutoff))) if (entry !== undefined) tally.add(entry.session)
      break
    }
    return tally
  }

  /** The bucket that a position belongs to, made if there is none. */
  #findBucketFor (position: Position): Bucket {
    const last = this.#buckets[this.#buckets.length - 1]
    const isBehindAll = last === undefined || comesAfter(position, last)
    const found = isBehindAll ? last : this.#buckets[this.#findIndex(position)]
    if (found !== undefined && !(isBehindAll && found.ids.length >= MAX_SLOTS)) return found
    const bucket = makeBucket([])
    this.#buckets.push(bucket)
    return bucket
  }

  /** The first bucket that ends at or behind the position. */
  #findIndex (position: Position): number {
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

  /** Of a bucket that has too many slots, what is taken makes two. */
  #relieve (bucket: Bucket): void {
    const taken = findTaken(bucket)
    const half = Math.ceil(taken.length / 2)
    this.#buckets.splice(this.#buckets.indexOf(bucket), 1, makeBucket(taken.slice(0, half)), makeBucket(taken.slice(half)))
  }

  /** Of a bucket that is mostly empty slots, what is taken stays: alone, or in front of what the next one has. */
  #shrink (bucket: Bucket): void {
    const index = this.#buckets.indexOf(bucket)
    const next = this.#buckets[index + 1]
    const taken = findTaken(bucket)
    if (taken.length === 0) this.#buckets.splice(index, 1)
    else if (next === undefined || taken.length + next.taken > MAX_SLOTS / 2) this.#buckets[index] = makeBucket(taken)
    else this.#buckets.splice(index, 2, makeBucket([...taken, ...findTaken(next)]))
  }
}

function findTaken ({ entries }: Bucket): Ordered[] {
  return entries.filter((entry) => entry !== undefined)
}

function makeBucket (entries: Ordered[]): Bucket {
  const bucket: Bucket = { timesMs: [], ids: [], entries, tally: new Tally(), taken: entries.length }
  for (const entry of entries) {
    const { session } = entry
    bucket.timesMs.push(session.lastActivityMs)
    bucket.ids.push(session.sessionId)
    bucket.tally.add(session)
    entry.bucket = bucket
  }
  return bucket
}

function compareIds (a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** How a position stands to a slot. */
function compareTo ({ timesMs, ids }: Bucket, place: number, position: Position): number {
  return position.lastActivityMs - (timesMs[place] ?? 0) || compareIds(position.sessionId, ids[place] ?? '')
}

function comesAfter (position: Position, bucket: Bucket): boolean {
  return bucket.ids.length > 0 && compareTo(bucket, bucket.ids.length - 1, position) > 0
}

function isAt (bucket: Bucket, place: number, position: Position): boolean {
  return place < bucket.ids.length && compareTo(bucket, place, position) === 0
}

/** The place of an entry that is there. Of the same millisecond there are few, and to look at their ids would cost more than to look at them all. */
function findSlot ({ timesMs, entries }: Bucket, entry: Ordered): number {
  const timeMs = entry.session.lastActivityMs
  let low = 0
  let high = timesMs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((timesMs[middle] ?? 0) < timeMs) low = middle + 1
    else high = middle
  }
  return entries.indexOf(entry, low)
}

/** The place of the first slot at or behind the position. */
function findIn (bucket: Bucket, position: Position): number {
  let low = 0
  let high = bucket.ids.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareTo(bucket, middle, position) > 0) low = middle + 1
    else high = middle
  }
  return low
}
