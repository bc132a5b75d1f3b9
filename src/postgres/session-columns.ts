/**
 * The columns of a session to select: times as milliseconds, JSON as the text that it was written as, which the driver would otherwise parse.
 *
 * @param row What they are columns of, as `s` of a table that is called so, or `(turn.found)` of a value.
 */
export function listSessionColumns (row: string): string {
  return [
    `${row}.session_id`, `${row}.user_id`, `${row}.platform`, `${row}.thread_id`,
    `(extract(epoch FROM ${row}.created_at) * 1000)::bigint::text AS created_at_ms`,
    `(extract(epoch FROM ${row}.last_activity) * 1000)::bigint::text AS last_activity_ms`,
    `${row}.pending_approval::text`, `${row}.metadata::text`, `${row}.extra::text`, `${row}.revision`
  ].join(', ')
}

/** Those of the table itself, where a statement names it without another name. */
export const SESSION_COLUMNS = listSessionColumns('sessions')
