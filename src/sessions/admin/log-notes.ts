import type { Log } from '../../log.ts'

/** What a store says of its work, in the order in which it says it. */
export interface LogNotes {
  readonly log: Log
  /** What it did. */
  readonly did: string[]
  /** What somebody should look at. */
  readonly warnings: string[]
}

/** A log that keeps its lines. */
export function makeLogNotes (): LogNotes {
  const did: string[] = []
  const warnings: string[] = []
  const warn = (fields: object, message: string): void => {
    warnings.push('session_id' in fields ? `${message} (session ${String(fields.session_id)})` : message)
  }
  return { log: { info: (_, message) => { did.push(message) }, warn, error: warn }, did, warnings }
}
