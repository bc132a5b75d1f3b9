import { Checksum, isSameSum, type Sum } from '../../checksum.ts'
import { ServiceError } from '../../errors.ts'
import type { SessionRecord } from '../kept-session.ts'
import type { SessionPlace } from './place.ts'
import { describeRecord, parseExtra } from './record.ts'

/** Told how many sessions were seen. */
export type Step = (sessions: number) => void

/** What there is in a place. */
export interface SessionSums {
  readonly sum: Sum
  /** The columns that the service does not know, in the order in which they were met. */
  readonly extraColumns: readonly string[]
}

/** Reads all sessions of a place. Throws FILE_INVALID for one that `check` refuses. */
export async function sumSessions (place: Pick<SessionPlace, 'read'>, step: Step, check: (record: SessionRecord) => void = () => {}): Promise<SessionSums> {
  const checksum = new Checksum()
  const columns = new Set<string>()
  for await (const records of place.read()) {
    for (const record of records) {
      checksum.add(describeRecord(record))
      for (const [name] of parseExtra(record.extra)) columns.add(name)
      tryCheck(record, check)
    }
    step(records.length)
  }
  return { sum: checksum.sum, extraColumns: [...columns] }
}

function tryCheck (record: SessionRecord, check: (record: SessionRecord) => void): void {
  try {
    check(record)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ServiceError('FILE_INVALID', { message: `The session ${record.sessionId} cannot be moved: ${reason}`, cause })
  }
}

/** Whether all sessions of one place are the same in the other. */
export async function isPartOf (part: SessionPlace, whole: SessionPlace): Promise<boolean> {
  for await (const records of part.read()) {
    if ((await listChanged(records, whole)).length > 0) return false
  }
  return true
}

/**
 * Puts into one place all sessions that another one has, and nothing else.
 *
 * @returns How many were there already, and equal.
 */
export async function copySessions (
  source: SessionPlace, target: SessionPlace, { sum, extraColumns }: SessionSums, step: Step
): Promise<number> {
  const present = (await sumSessions(target, () => {})).sum
  // A file without sessions is yet to be made.
  if (present.count > 0 && isSameSum(present, sum)) return present.count
  const isFresh = present.count === 0 || target.isWrittenAnew
  const skipped = { count: 0 }
  await target.write(selectNew(source, isFresh ? undefined : target, skipped, step), extraColumns)
  if (isFresh) return 0
  const strays: string[] = []
  for await (const records of target.read()) {
    const present = await source.find(records.map(({ sessionId }) => sessionId))
    strays.push(...records.map(({ sessionId }) => sessionId).filter(id => !present.has(id)))
  }
  if (strays.length > 0) await target.remove(strays)
  return skipped.count
}

async function * selectNew (
  source: SessionPlace, target: SessionPlace | undefined, skipped: { count: number }, step: Step
): AsyncGenerator<readonly SessionRecord[]> {
  for await (const records of source.read()) {
    const fresh = target === undefined ? records : await listChanged(records, target)
    skipped.count += records.length - fresh.length
    yield fresh
    step(records.length)
  }
}

/** Those that a place lacks, or has otherwise. */
async function listChanged (records: readonly SessionRecord[], place: SessionPlace): Promise<SessionRecord[]> {
  const present = await place.find(records.map(({ sessionId }) => sessionId))
  return records.filter(record => {
    const other = present.get(record.sessionId)
    return other === undefined || describeRecord(other) !== describeRecord(record)
  })
}
