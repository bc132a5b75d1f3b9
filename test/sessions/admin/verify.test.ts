import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { verifySessions } from '../../../src/sessions/admin/verify.ts'
import { formatHeader, formatRecord } from '../../../src/sessions/csv/journal-text.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { HEADER, makeAdmin, readJson, readText } from '../../fixtures/admin.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeLog, makeSession } from '../../fixtures/sessions.ts'

const T = '2025-11-22T20:00:00.000Z'

function row (id: string, { user = 'telegram_1', thread = `t-${id}`, lastActivity = T, metadata = '{}' } = {}): string {
  return `${id},${user},telegram,${thread},${T},${lastActivity},,${metadata}`
}

function makeFile (...rows: string[]): string {
  return `${[HEADER, ...rows].join('\n')}\n`
}

t.test('a file as the service leaves it is kept and left untouched', async t => {
  const outcome = await verifySessions(makeAdmin(makeFolder(t, { 'sessions.csv': makeFile(row('a'), row('b')) })))
  t.notOk(outcome.hasFailed)
  const nothing = { expired: 0, rejected: [], fresh_threads: [], future: [], journals: [], unfinished: [], set_aside: [] }
  t.match(readJson(outcome), { keeps_everything: true, is_rewritten: false, sessions: 2, is_in_use: false, ...nothing })
  const text = readText(outcome)
  t.match(text, /header: as the service writes it\nsessions: 2 would be loaded, 0 expired left out\nlock: free\n/)
  t.match(text, /\nA start would keep everything, and would leave the file untouched\.\n$/)
})

t.test('each row that would go aside is named with line, reason and text, which cannot reach the terminal', async t => {
  const file = makeFile(row('a'), 'a,b', row('x', { user: 'x\u001b[2J' }), row('a', { lastActivity: '2025-11-22T20:01:00.000Z' }), row('y', { metadata: '{broken' }))
  const outcome = await verifySessions(makeAdmin(makeFolder(t, { 'sessions.csv': file })))
  t.ok(outcome.hasFailed)
  t.match(readJson(outcome), {
    keeps_everything: false,
    sessions: 1,
    rejected: [
      { line: 2, source: 'file', reason: 'session_id is also on line 5, which is the more recent row' },
      { line: 3, source: 'file', reason: '2 cells instead of 8', text: 'a,b' },
      { line: 4, source: 'file', reason: 'user_id has control characters' },
      { line: 6, source: 'file', reason: 'metadata is not a JSON object' }
    ]
  })
  const text = readText(outcome)
  t.match(text, '4 rows would be set aside:\n  line 2: session_id is also on line 5')
  t.match(text, '  line 4: user_id has control characters: x,x\\u001b[2J,telegram')
  t.match(text, /A start would not keep everything as it is, and would rewrite the file\.\n$/)
})

t.test('a thread used twice, a time to come and the expired are told', async t => {
  const file = makeFile(row('a', { thread: 'one' }), row('b', { thread: 'one', lastActivity: '2099-01-01T00:00:00.000Z' }), row('c', { lastActivity: '2025-11-01T00:00:00.000Z' }))
  const outcome = await verifySessions(makeAdmin(makeFolder(t, { 'sessions.csv': file })))
  t.ok(outcome.hasFailed)
  t.match(readJson(outcome), {
    sessions: 2, expired: 1, fresh_threads: [{ session_id: 'a', thread_id: 'one' }], future: [{ session_id: 'b', last_activity: '2099-01-01T00:00:00.000Z' }]
  })
  t.match(readText(outcome), /1 session would go on with a fresh thread.*\n {2}session a: thread one\n1 session active in the future.*\n {2}session b: 2099-01-01/)
})

for (const [what, content, reason] of [
  ['separated by semicolons', 'session_id;user_id\n1;2\n', /separated by ; instead of ,/],
  ['without a header', '\nabc-123,telegram_456\n', /it lacks session_id, user_id, last_activity/]
] as const) {
  t.test(`a file ${what} is explained with that line`, async t => {
    const outcome = await verifySessions(makeAdmin(makeFolder(t, { 'sessions.csv': content })))
    t.ok(outcome.hasFailed)
    const text = readText(outcome)
    t.match(text, reason)
    t.match(text, /A start would be refused, and the file left as it is: .*\n {2}line [12]: .+\n$/)
    t.match(readJson(outcome), { refusal: reason, sessions: null, keeps_everything: false })
  })
}

t.test('a folder in the place of the file is a refused start', async t => {
  const folder = makeFolder(t)
  mkdirSync(join(folder, 'sessions.csv'))
  t.match(readJson(await verifySessions(makeAdmin(folder))), { refusal: /is a folder/, header: null })
})

t.test('the form of the file is described', async t => {
  const file = '\uFEFFuser_id,session_id,last_activity,team\r\ntelegram_1,a,2025-11-22T20:00:00,red\r\n'
  const outcome = await verifySessions(makeAdmin(makeFolder(t, { 'sessions.csv': file })))
  t.notOk(outcome.hasFailed)
  t.match(readText(outcome), 'header: unknown columns, which are kept: team; without platform, thread_id, created_at, pending_approval, metadata; begins with a BOM; ends with CR LF\n')
})

t.test('no file, and an empty one, are an empty table', async t => {
  t.match(readText(await verifySessions(makeAdmin(makeFolder(t)))), /there is no such file, a start makes it\n.*A start would keep everything/s)
  t.match(readText(await verifySessions(makeAdmin(makeFolder(t, { 'sessions.csv': '' })))), 'header: none, the file is empty: no sessions')
})

t.test('what lies beside the file is told', async t => {
  const names = ['sessions.csv.tmp', 'sessions.csv.journal.tmp', 'sessions_rejected_20251122T201500123Z.csv', 'sessions_conflict_20251122T201500123Z_2.csv',
    'sessions_journal_20251122T201500123Z.journal', 'sessions_of_mine.csv']
  const folder = makeFolder(t, { 'sessions.csv': makeFile(row('a')), ...Object.fromEntries(names.map(name => [name, ''])) })
  const outcome = await verifySessions(makeAdmin(folder))
  t.match(readJson(outcome), { keeps_everything: true, unfinished: ['sessions.csv.tmp', 'sessions.csv.journal.tmp'] })
  t.same(Object(readJson(outcome)).set_aside, [names[3], names[4], names[2]])
  t.match(readText(outcome), 'left over: sessions.csv.tmp was never finished; a start removes it')
})

t.test('a service that has the file is told', async t => {
  const folder = makeFolder(t)
  const admin = makeAdmin(folder)
  const store = new CsvSessionStore({ ...admin, log: makeLog() })
  t.after(() => store.close())
  await store.open()
  t.match(readText(await verifySessions(admin)), 'lock: held, a service is running')
  await store.close()
  t.match(readText(await verifySessions(admin)), 'lock: free')
})

// --- journals

const ID = '00000000-0000-4000-8000-000000000001'
// Of a file with the one session `a`.
const FILE = makeFile(row('a'))
const SHA = `=${createHash('sha256').update(FILE).digest('hex')}`

function makeJournal (names: string, ...records: string[][]): Buffer {
  let checksum = 0
  return Buffer.concat([[formatHeader({ id: ID, predecessor: undefined }), names], ...records].map(lines => {
    const record = formatRecord(lines, checksum)
    checksum = record.checksum
    return record.bytes
  }))
}

async function verifyJournal (t: Parameters<typeof makeFolder>[0], journal: Buffer): Promise<{ text: string, json: unknown }> {
  const folder = makeFolder(t, { 'sessions.csv': FILE })
  writeFileSync(join(folder, 'sessions.csv.journal'), journal)
  const outcome = await verifySessions(makeAdmin(folder))
  return { text: readText(outcome), json: readJson(outcome) }
}

t.test('a journal that fits is laid over the file; a tail that was cut off costs nothing', async t => {
  const whole = await verifyJournal(t, makeJournal(SHA, [`+${row('b')}`], ['-a']))
  t.match(whole.json, { keeps_everything: true, is_rewritten: true, sessions: 1, journals: [{ state: 'fits', changes: 2, tail_bytes: 0 }] })
  const torn = await verifyJournal(t, Buffer.concat([makeJournal(SHA, [`+${row('b')}`]), Buffer.from('+c,tele')]))
  t.match(torn.json, { keeps_everything: true, sessions: 2, journals: [{ state: 'fits', tail_bytes: 7, is_damaged: false }] })
  t.match(torn.text, 'journal: sessions.csv.journal fits, with 1 changed session; its last 7 bytes are a change cut off, which nobody was told was saved')
})

t.test('a damaged journal, a stranger, and a row in a journal that cannot be read are not kept', async t => {
  const journal = makeJournal(SHA, [`+${row('b')}`], [`+${row('c')}`])
  journal.write('X', journal.length - 40)
  const damaged = await verifyJournal(t, journal)
  t.match(damaged.json, { keeps_everything: false, sessions: 2, journals: [{ state: 'fits', is_damaged: true }] })
  t.match(damaged.text, 'it is DAMAGED')
  const stranger = await verifyJournal(t, makeJournal(`=${'0'.repeat(64)}`, [`+${row('b')}`]))
  t.match(stranger.json, { keeps_everything: false, sessions: 1, journals: [{ state: 'stranger', reason: 'it continues another file than this one' }] })
  const bad = await verifyJournal(t, makeJournal(SHA, ['+b,telegram_1']))
  t.match(bad.json, { keeps_everything: false, rejected: [{ source: 'journal', line: 1, reason: '2 cells instead of 8' }] })
})

// --- what it says is what a start does

t.test('what verify says is what a start does, whatever the file holds, and nothing is changed by saying it', async t => {
  const folder = makeFolder(t)
  const cell = fc.constantFrom('a', 'b', 'c', '', '"', T, '2099-01-01T00:00:00Z', '2001-01-01T00:00:00Z', '{}', '{', '\u0000', '"{""a"": 1}"')
  const any = fc.array(cell, { minLength: 6, maxLength: 9 }).map(cells => cells.join(','))
  const good = fc.record({ id: fc.constantFrom('a', 'b', 'c'), thread: fc.constantFrom('t', 'u', 'v'), lastActivity: fc.constantFrom(T, '2099-01-01T00:00:00.000Z', '2001-01-01T00:00:00.000Z') })
    .map(({ id, ...more }) => row(id, more))
  await fc.assert(fc.asyncProperty(fc.array(fc.oneof(good, good, any), { maxLength: 6 }), fc.boolean(), async (rows, hasEnd) => {
    const place = join(folder, randomUUID())
    mkdirSync(place)
    const path = join(place, 'sessions.csv')
    writeFileSync(path, [HEADER, ...rows].join('\n') + (hasEnd ? '\n' : ''))
    const before = [readdirSync(place), statSync(path).mtimeMs]
    const told = Object(readJson(await verifySessions(makeAdmin(place))))
    t.same([readdirSync(place), statSync(path).mtimeMs], before)
    const bytes = readFileSync(path, 'utf8')
    const log = makeLog()
    const store = new CsvSessionStore({ ...makeAdmin(place), log })
    const { loaded, expired, rejected } = await store.open()
    await store.close()
    const fresh = log.lines.filter(line => line.includes('thread_id is used twice')).length
    t.same([told.sessions, told.expired, told.rejected.length, told.fresh_threads.length], [loaded, expired, rejected, fresh])
    return told.is_rewritten === (readFileSync(path, 'utf8') !== bytes) && told.keeps_everything === (rejected + fresh === 0)
  }), { numRuns: 150 })
})

t.test('a file that a service is writing is whole with its journal', async t => {
  const folder = makeFolder(t)
  const admin = makeAdmin(folder)
  const store = new CsvSessionStore({ ...admin, log: makeLog() })
  t.after(() => store.close())
  await store.open()
  await Promise.all(Array.from({ length: 1500 }, async (_, index) => { await store.create(makeSession({ sessionId: `s-${index}` })) }))
  const outcome = await verifySessions(admin)
  t.match(readJson(outcome), { sessions: 1500, is_in_use: true, keeps_everything: true })
})
