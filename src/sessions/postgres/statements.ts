import { SESSION_COLUMNS } from '../../postgres/session-columns.ts'

/** A time out of milliseconds. */
const time = (value: string): string => `to_timestamp(${value}::float8 / 1000)`

/** `$1`: since when a session must have been active, in milliseconds, unless a turn of it runs or waits. */
const SINCE = time('$1')
const IS_LIVE = `(last_activity >= ${SINCE} OR EXISTS (SELECT 1 FROM holdline.held h WHERE h.session_id = sessions.session_id))`
/** Those that are there for the sake of their turns alone: few, and found from there. */
const IS_KEPT = `last_activity < ${SINCE} AND session_id IN (SELECT h.session_id FROM holdline.held h)`

const LIVE = `SELECT ${SESSION_COLUMNS} FROM holdline.sessions WHERE ${IS_LIVE}`

/** Reads. */
export const FIND = `${LIVE} AND session_id = $2`
export const FIND_BY_USER = `${LIVE} AND user_id = $2 AND ($3::text IS NULL OR platform = $3) ORDER BY last_activity DESC, session_id DESC`
export const FIND_LATEST = `SELECT ${SESSION_COLUMNS} FROM holdline.find_latest($2::text[], $3, ${SINCE}) AS sessions`
export const FIND_THREADS = `SELECT DISTINCT thread_id FROM holdline.sessions WHERE thread_id = ANY ($2::text[]) AND ${IS_LIVE}`
export const FIND_OLDEST_QUESTION = `
SELECT (extract(epoch FROM asked_at) * 1000)::float8 AS asked_ms FROM holdline.sessions
WHERE asked_at IS NOT NULL AND ${IS_LIVE} ORDER BY asked_at LIMIT 1`

const COUNTED = 'SELECT platform, asked_at FROM holdline.sessions'
export const COUNT = `
SELECT platform, count(*)::float8 AS all, count(asked_at)::float8 AS pending
FROM (${COUNTED} WHERE last_activity >= ${SINCE} UNION ALL ${COUNTED} WHERE ${IS_KEPT}) AS counted GROUP BY platform`

/** A page: `$2` of them, of platform `$3` and with a question or not as `$4` says. */
export const LIST = makeList('')
/** The same, behind the time `$5` and the id `$6`. */
export const LIST_AFTER = makeList(`AND (last_activity, session_id) > (${time('$5')}, $6)`)

function makeList (after: string): string {
  const rest = `AND ($3::text IS NULL OR platform = $3) AND ($4::boolean IS NULL OR (asked_at IS NOT NULL) = $4) ${after}`
  // Two walks that each follow the index, where one over both kinds would read all that has expired.
  const walk = (condition: string): string => {
    return `(SELECT * FROM holdline.sessions WHERE ${condition} ${rest} ORDER BY last_activity, session_id LIMIT $2)`
  }
  return `
SELECT ${SESSION_COLUMNS} FROM (${walk(`last_activity >= ${SINCE}`)} UNION ALL ${walk(IS_KEPT)}) AS sessions
ORDER BY last_activity, session_id LIMIT $2`
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
export const BRING_TO_NOW = `
UPDATE holdline.sessions SET last_activity = ${time('$1')}, revision = revision + 1 WHERE session_id IN (
  SELECT s.session_id FROM holdline.sessions s WHERE s.last_activity > ${time('$1')} LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING session_id`
export const REMOVE_SILENT = `SELECT ${SESSION_COLUMNS} FROM holdline.remove_silent(${time('$1')}, $2) AS sessions`

/** True where there is no lease, or it is good; raises otherwise. It is asked once, before a row is looked for. */
function fence (lease: string): string {
  return `(SELECT ${lease}::uuid IS NULL OR holdline.check_lease(${lease}::uuid) IS NOT NULL)`
}
