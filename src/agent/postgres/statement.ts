import { currentLease } from '../../turn-lease.ts'

/**
 * One statement, made of a text and the values that its `$1` and so on stand for.
 *
 * It is under the lease of the turn that makes it, if it is made within one: the text of a write has the relation `held`, and takes what it writes
 * from there, or calls a function that is given the lease. Whoever lost it writes nothing, since the check of it raises HL001; whoever holds it makes
 * a successor wait until the write has ended.
 */
export class Statement {
  readonly text: string
  readonly values: readonly unknown[]

  /** @param write Is given the function that notes a value down, and returns what stands for it in the text. */
  constructor (write: (note: (value: unknown) => string) => string) {
    const values: unknown[] = []
    this.text = write(value => `$${values.push(value)}`)
    this.values = values
  }
}

/** The beginning of a write; what follows has to read `held`, or nothing is checked. */
export function hold (note: (value: unknown) => string): string {
  const lease = holdLease(note)
  return `WITH held AS MATERIALIZED (SELECT CASE WHEN ${lease}::uuid IS NOT NULL THEN holdline.check_lease(${lease})::text END)`
}

/** Notes the lease down, for a function to check; none outside of turns: a sweep's work, for instance, is nobody else's to take over. */
export function holdLease (note: (value: unknown) => string): string {
  const current = currentLease()
  // One that may be lost is not left to a race between this write and the successor.
  current?.check()
  return note(current?.id ?? null)
}
