import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HEADER } from './fixtures/admin.ts'
import { makeFolder } from './fixtures/folder.ts'
import { makeHouse, migrate, readSorted } from './fixtures/house.ts'
import { openClient, PostgresServer } from './fixtures/postgres.ts'
import { Service } from './fixtures/service.ts'

const postgres = await PostgresServer.start(t)

t.test('a house of a service moves to Postgres, and a service there goes on where that one ended; and back', async t => {
  const dir = makeFolder(t)
  const before = await Service.start(t, dir)
  const said = (await before.say('first words')).body
  const asked = (await before.say('note: eggs', { user_id: 'other' })).body
  const url = await postgres.createDatabase()

  t.match(await migrate(dir, 'csv', url), { code: 1, stdout: '', stderr: 'sessions.csv is in use by another process\n' })
  before.kill('SIGTERM')
  await before.exit
  const lines = readSorted(join(dir, 'sessions.csv'))
  t.match(await migrate(dir, 'csv', url, '--json'), { code: 0, stdout: /"is_verified":true/, stderr: '' })
  t.same(readSorted(join(dir, 'sessions.csv')), lines, 'the source is as it was')

  const there = await Service.start(t, dir, { SESSION_STORE: 'postgres', DATABASE_URL: url })
  t.match((await there.say('what did I say first?')).body, { session_id: said.session_id, message: /first words/ })
  t.match(await migrate(dir, url, 'csv:new/sessions.csv'), { code: 1, stdout: '', stderr: /^postgres:\/\/127\.0\.0\.1:\d+\/test_\d+ is in use: .*\n$/ })
  t.match((await there.say('yes', { user_id: 'other', approval_id: asked.approval_data?.approval_id })).body.message, /Saved the note: eggs/)
  there.kill('SIGTERM')
  await there.exit

  t.match(await migrate(dir, url, 'csv:new/sessions.csv'), { code: 0, stdout: /All of it was read again/ })
  const back = await Service.start(t, dir, { SESSIONS_CSV_PATH: 'new/sessions.csv' })
  t.match((await back.say('what did I say first?')).body, { session_id: said.session_id, message: /first words/ })
  t.equal((await back.request('/api/sessions')).body.active_sessions.length, 2)
})

t.test('a dry run tells what would move, and leaves no trace', async t => {
  const dir = await makeHouse(t, 5, 3)
  const url = await postgres.createDatabase()
  const client = await openClient(t, url)
  t.match(await migrate(dir, 'csv', url, '--dry-run'), { code: 0, stdout: /sessions +5 .*\n *conversations +3 *\n.*\n *notes +1 [^]*Nothing was written/, stderr: '' })
  t.same((await client.query("SELECT to_regnamespace('holdline') AS made")).rows, [{ made: null }])
  t.equal((await migrate(dir, 'csv', url)).code, 0)
  const names = readdirSync(dir)
  t.match(await migrate(dir, url, 'csv:new/sessions.csv', '--dry-run'), { code: 0, stdout: /Nothing was written/ })
  t.same(readdirSync(dir), names)
})

t.test('a target that cannot be reached, or that is not fit, is refused in one line, without what was secret in it', async t => {
  const dir = await makeHouse(t, 5, 3)
  const url = await postgres.createDatabase()
  t.equal((await migrate(dir, 'csv', url)).code, 0)
  const more = 's-new,telegram_9,telegram,t-new,2025-11-22T20:15:00.123Z,2025-11-22T20:15:00.123Z,,{}\n'
  const other = makeFolder(t, { 'sessions.csv': readFileSync(join(dir, 'sessions.csv'), 'utf8') + more })
  t.match(await migrate(other, 'csv', url), { code: 0 }, 'of what is ours, more may be added')
  const third = makeFolder(t, { 'sessions.csv': `${HEADER}\n` })
  for (const words of [[url], [url.replace('secret-of-test', 'wrong-secret')], ['postgres://u:secret@127.0.0.1:1/x'], ['csv:other.csv']]) {
    const [to = '', ...more] = words
    const { code, stdout, stderr } = await migrate(third, 'csv', to, ...more)
    t.same([code, stdout], [1, ''])
    t.match(stderr, /^(?!.*(?:secret-of-test|wrong-secret|u:secret)).+\n$/, stderr)
  }
  t.notOk(existsSync(join(third, 'other.csv')))
})

t.test('what is moved once more is skipped; and a service that starts before all is there is refused by name', async t => {
  const dir = await makeHouse(t, 5, 3)
  const url = await postgres.createDatabase()
  t.equal((await migrate(dir, 'csv', url)).code, 0)
  t.match(await migrate(dir, 'csv', url), { code: 0, stdout: /9 of them were there already/ })
  const client = await openClient(t, url)
  await client.query("INSERT INTO holdline.moves (source) VALUES ('csv:/elsewhere.csv')")
  t.match(await migrate(dir, 'csv', url), { code: 1, stderr: /^The move from csv:\/elsewhere\.csv to postgres:.* is not finished/ })
  const service = Service.launch(t, dir, { SESSION_STORE: 'postgres', DATABASE_URL: url })
  t.match(await service.exit, { code: 1, stderr: /The move from csv:\/elsewhere\.csv .* is not finished/ })
})

// The server at work would keep the file from ending.
t.end()
