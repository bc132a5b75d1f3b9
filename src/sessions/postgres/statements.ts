import { SESSION_COLUMNS } from '../../postgres/session-columns.ts'

/** A time out of milliseconds. */
const time = (value: string): string => `to_timestamp(${value}::float8 / 1000)`

/** `$1`: since when a session must have been active, unless a turn of it runs or waits. */
const IS_LIVE = `(sessions.last_activity >= ${time('$1')} OR holdline.is_held(sessions.session_id))`

const LIVE = `SELECT ${SESSION_COLUMNS} FROM holdline.sessions WHERE ${IS_LIVE}`

/** Reads. `$1` is the time since when a session must have been active, in milliseconds. */
export const FIND = `${LIVE} AND session_id = $2`
export const FIND_BY_USER = `${LIVE} AND user_id = $2 AND ($3::text IS NULL OR platform = $3) ORDER BY last_activity DESC, session_id DESC`
export const FIND_LATEST = `SELECT ${SESSION_COLUMNS} FROM holdline.find_latest($2::text[], $3, ${time('$1')}) AS sessions`
export const FIND_THREADS = `SELECT DISTINCT thread_id FROM holdline.sessions WHERE ${IS_LIVE} AND thread_id = ANY ($2::text[])`
export const COUNT = `
SELECT platform, count(*)::float8 AS all, count(pending_approval)::float8 AS pending FROM holdline.sessions WHERE ${IS_LIVE} GROUP BY platform`
export const FIND_OLDEST_QUESTION = `
SELECT (extract(epoch FROM asked_at) * 1000)::float8 AS asked_ms FROM holdline.sessions
WHERE pending_approval IS NOT NULL AND ${IS_LIVE} ORDER BY asked_at LIMIT 1`

/** Pages. Those who ask for neither are not to pay for what others ask for. */
export const LIST = {
  text: `${LIVE} AND ($3::text IS NULL OR platform = $3) AND ($4::boolean IS NULL OR (pending_approval IS NOT NULL) = $4)`,
  after: ` AND (last_activity, session_id) > (${time('$5')}, $6)`,
  order: ' ORDER BY last_activity, session_id LIMIT $2'
}

/** What was written last. */
export const FIND_WRITE = 'SELECT revision, last_write::text FROM holdline.sessions WHERE session_id = $1'

/** The values of a row, as `listValues` lists them, and the name of this write. */
const ROW = `$1::text, $2::text, $3::text, $4::text, ${time('$5')}, ${time('$6')}, $7::json, $8::json, $9::json, ${time('$10')}`

/** Changes. Under a lease the check of it comes first, in the same transaction. */
export const INSERT = `
INSERT INTO holdline.sessions SELECT ${ROW}, 1, $11::uuid WHERE ${fence('$12')} ON CONFLICT (session_id) DO NOTHING RETURNING session_id`
export const CONTINUE_OR_ADD = `
SELECT ${SESSION_COLUMNS} FROM holdline.continue_or_add(ROW(${ROW}, 1, $11::uuid)::holdline.sessions, ${time('$13')}) AS sessions WHERE ${fence('$12')}`
export const REPLACE = `
UPDATE holdline.sessions SET user_id = $2, platform = $3, thread_id = $4, created_at = ${time('$5')}, last_activity = ${time('$6')},
  pending_approval = $7::json, metadata = $8::json, extra = $9::json, asked_at = ${time('$10')}, revision = revision + 1, last_write = $11::uuid
WHERE session_id = $1 AND revision = $13 AND ${fence('$12')} RETURNING session_id`
export const DELETE = `DELETE FROM holdline.sessions WHERE session_id = $1 AND revision = $2 AND ${fence('$3')} RETURNING session_id`
export const REMOVE_SILENT = `SELECT ${SESSION_COLUMNS} FROM holdline.remove_silent(${time('$1')}, $2) AS sessions`

/** True where there is no lease, or it is good; raises otherwise. It is asked once, before a row is looked for. */
function fence (lease: string): string {
  return `(SELECT ${lease}::uuid IS NULL OR holdline.check_lease(${lease}::uuid) IS NOT NULL)`
}
