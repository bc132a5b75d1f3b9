import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { countSessions } from '../../../src/sessions/admin/count.ts'
import { exportSessions } from '../../../src/sessions/admin/export.ts'
import { listSessions } from '../../../src/sessions/admin/list.ts'
import { showSessions } from '../../../src/sessions/admin/show.ts'
import { HEADER, makeAdmin, readJson, readText } from '../../fixtures/admin.ts'
import { makeFolder } from '../../fixtures/folder.ts'

// It is 20:15:00.123.
const ROWS = [
  'b,telegram_2,telegram,t-b,2025-11-22T19:00:00.000Z,2025-11-22T20:14:00.000Z,"{""tool"":""note""}","{""user_profile"":{""name"":""Bo\\u001b[31m""}}"',
  'a,telegram_王小明,telegram,t-a,2025-11-22T19:00:00.000Z,2025-11-22T20:00:00.000Z,,{}',
  'c,api_3,api,t-c,2025-11-22T19:00:00.000Z,2025-11-22T20:15:00.000Z,,{}',
  'old,api_3,api,t-old,2025-11-22T10:00:00.000Z,2025-11-22T11:00:00.000Z,,{}'
]

const CONTENT = { 'sessions.csv': `${[HEADER, ...ROWS].join('\n')}\n` }

t.test('list shows the live sessions in aligned columns, longest silent first', async t => {
  const admin = makeAdmin(makeFolder(t, CONTENT))
  t.equal(readText(await listSessions(admin, {})), [
    'session_id  user_id          platform  last_activity             silent  pending',
    'a           telegram_王小明  telegram  2025-11-22T20:00:00.000Z  15m     -',
    'b           telegram_2       telegram  2025-11-22T20:14:00.000Z  1m      yes',
    'c           api_3            api       2025-11-22T20:15:00.000Z  0s      -',
    ''
  ].join('\n'))
})

t.test('list takes a platform, those with a question, or the expired that are still in the file', async t => {
  const admin = makeAdmin(makeFolder(t, CONTENT))
  t.match(readJson(await listSessions(admin, { platform: 'api' })), { sessions: [{ session_id: 'c' }], count: 1 })
  t.match(readJson(await listSessions(admin, { pending: true })), { sessions: [{ session_id: 'b', has_pending_approval: true }], count: 1 })
  t.match(readJson(await listSessions(admin, { expired: true })), { sessions: [{ session_id: 'old', silent_seconds: 33_300 }], count: 1 })
})

t.test('count tells live sessions, questions, platforms, and what has expired', async t => {
  const outcome = await countSessions(makeAdmin(makeFolder(t, CONTENT)))
  t.same(readJson(outcome), { count: 3, pending_approvals: 1, by_platform: { api: 1, telegram: 2 }, expired: 1 })
  t.match(readText(outcome), /^sessions +3\nwith a question +1\non api +1\non telegram +2\nexpired, still in the file +1\n$/)
})

t.test('show finds a session by its id, and a person by either form of the id, the expired too; nothing moves the cursor', async t => {
  const admin = makeAdmin(makeFolder(t, CONTENT))
  const text = readText(await showSessions(admin, 'b'))
  t.match(text, 'last_activity  2025-11-22T20:14:00.000Z  1m ago')
  t.match(text, 'pending_approval {\n  "tool": "note"\n}\nmetadata {\n  "user_profile": {\n    "name": "Bo\\u001b[31m"\n')
  t.notOk(text.includes('\u001b'))
  for (const id of ['3', 'api_3']) {
    t.match(readJson(await showSessions(admin, id)), { sessions: [{ session_id: 'c', is_expired: false }, { session_id: 'old', is_expired: true }] })
  }
  await t.rejects(showSessions(admin, 'nobody'), { code: 'SESSION_NOT_FOUND', message: /has no session and no user "nobody"$/ })
})

t.test('export writes the live sessions as the service does, to stdout or to a new file that is the owner\'s alone', async t => {
  const folder = makeFolder(t, CONTENT)
  const admin = makeAdmin(folder)
  const wanted = `${[HEADER, ...ROWS.slice(0, 3)].join('\n')}\n`
  t.equal(readText(await exportSessions(admin, { isJson: false })), wanted)
  const file = join(folder, 'out.csv')
  t.match(readJson(await exportSessions(admin, { file, isJson: false })), { file, count: 3, bytes: wanted.length + 6 })
  t.equal(readFileSync(file, 'utf8'), wanted)
  t.equal(statSync(file).mode & 0o777, 0o600)
  await t.rejects(exportSessions(admin, { file, isJson: true }), { message: `${file} exists and is not overwritten` })
  t.equal(readFileSync(file, 'utf8'), wanted)
  await exportSessions(admin, { file: join(folder, 'out.json'), isJson: true })
  t.match(JSON.parse(readFileSync(join(folder, 'out.json'), 'utf8')), { count: 3, sessions: [{ session_id: 'b' }, { session_id: 'a' }, { session_id: 'c' }] })
})

t.test('without a file there are no sessions, and a note says so; nothing is made', async t => {
  const folder = makeFolder(t)
  const admin = makeAdmin(folder, { path: join(folder, 'none', 'sessions.csv') })
  const outcome = await listSessions(admin, {})
  t.match(readJson(outcome), { sessions: [], count: 0 })
  t.match(outcome.notes, [/^There is no .*sessions\.csv: a service that starts there begins empty$/])
  t.same(readdirSync(folder), [])
})

t.test('rows that cannot be read are left out, and a note says so', async t => {
  const folder = makeFolder(t, CONTENT)
  writeFileSync(join(folder, 'sessions.csv'), 'half,a,row\n', { flag: 'a' })
  const outcome = await listSessions(makeAdmin(folder), {})
  t.match(readJson(outcome), { count: 3 })
  t.match(outcome.notes, [/1 row of .*sessions\.csv left out, see verify/])
})
