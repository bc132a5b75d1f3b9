import type { SessionRecord } from '../kept-session.ts'

/** Sessions read or written at once. */
export const BATCH_SIZE = 1000

/** Batches of sessions, each session in one of them. */
export type RecordBatches = AsyncIterable<readonly SessionRecord[]>

/**
 * Where sessions are moved from, or to.
 *
 * *Promise.* A session comes out as it was put in: its texts are the same, the expired are there.
 */
export interface SessionPlace {
  /** What an operator ought to know about what is there. */
  readonly notes: readonly string[]
  /** Whether `write` leaves nothing of what was there before. */
  readonly isWrittenAnew: boolean
  /** All of them. */
  read (): RecordBatches
  /** Those of these ids that are there. */
  find (sessionIds: readonly string[]): Promise<Map<string, SessionRecord>>
  /**
   * Puts sessions there; of an id that is there already, the new one stays. As durable as the place makes it when this resolves.
   *
   * @param extraColumns The columns that the service does not know, of all sessions that are to be there.
   */
  write (batches: RecordBatches, extraColumns: readonly string[]): Promise<void>
  /** Throws if a session cannot be kept there, saying why. */
  check (record: SessionRecord): void
  remove (sessionIds: readonly string[]): Promise<void>
  /** Whence sessions are being moved here, as long as that is not done: no service starts on such a place. */
  readMark (): Promise<string | undefined>
  mark (source: string): Promise<void>
  unmark (): Promise<void>
  close (): Promise<void>
}
