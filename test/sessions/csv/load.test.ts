import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { realFiles, type FileOperations } from '../../../src/sessions/csv/files.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import type { Session } from '../../../src/sessions/session.ts'
import type { LoadReport } from '../../../src/sessions/store.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeClock, makeLog, makeSession, START_MS, type KeptLog } from '../../fixtures/sessions.ts'

const HEADER = 'session_id,user_id,platform,thread_id,created_at,last_activity,pending_approval,metadata\n'
const TIME = '2025-11-22T20:00:00.000Z'
const row = (id: string, rest = `telegram_1,telegram,t-${id},${TIME},${TIME},,{}`): string => `${id},${rest}\n`
const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), 'utf8')

interface Opened {
  report: LoadReport
  sessions: readonly Session[]
  /** The session file once it is open. */
  after: string
  /** The file of rejected rows, one character a byte. */
  rejected: string
  folder: string
  log: KeptLog
  store: CsvSessionStore
}

interface Settings { nowMs?: number, timeoutMs?: number, files?: FileOperations }

function makeStore (
  path: string, { nowMs = START_MS, timeoutMs = 3_600_000, files = realFiles }: Settings = {}
): { store: CsvSessionStore, log: KeptLog } {
  const log = makeLog()
  let threads = 0
  const newId = (): string => `fresh-${++threads}`
  return { store: new CsvSessionStore({ path, timeoutMs, fsync: 'never', now: makeClock(nowMs).now, newId, files, log }), log }
}

async function load (t: Test, content: string | Buffer, settings: Settings = {}): Promise<Opened> {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  writeFileSync(path, content)
  const { store, log } = makeStore(path, settings)
  t.after(() => store.close())
  const report = await store.open()
  const { sessions } = await store.list({ limit: 1000 })
  const rejected = readdirSync(folder).find((name) => name.includes('_rejected_'))
  return {
    report,
    sessions,
    folder,
    log,
    store,
    after: readFileSync(path, 'utf8'),
    rejected: rejected === undefined ? '' : readFileSync(join(folder, rejected), 'latin1')
  }
}

const ids = (sessions: readonly Session[]): string[] => sessions.map(({ sessionId }) => sessionId)

t.test('the file of the Python backend loads whole', async (t) => {
  const { report, sessions, after } = await load(t, fixture('python-backend.csv'), { nowMs: Date.parse('2025-09-30T12:00:00Z') })
  t.same(report, { loaded: 6, expired: 0, rejected: 0, expiredThreads: [] })
  const byId = new Map(sessions.map((session) => [session.sessionId, session]))
  t.equal(byId.get('s-5')?.userId, 'slack_U0ÜÑÍ')
  t.same(byId.get('s-5')?.metadata, { user_profile: { name: 'Zoë 🚀 “quoted”', locale: '日本' } })
  t.match(byId.get('11111111-2222-4333-8444-555555555555')?.pendingApproval, { args: { text: 'He said "hi", then left;\nsecond line' } })
  t.equal(byId.get('s-6')?.lastActivityMs, Date.parse('2025-09-30T11:41:00Z'))
  t.equal(after.split('\n').length, 8)
  t.match(after, '""n"": 15000000000.0', 'a number keeps the form in which it was written')
})

t.test('the hand-written file loads whole, and once rewritten stays as it is', async (t) => {
  const { report, after, folder, store } = await load(t, fixture('seed-example.csv'), { nowMs: Date.parse('2025-09-30T12:00:00Z') })
  t.equal(report.loaded, 2)
  t.equal(after, HEADER +
    'abc-123,telegram_456,telegram,xyz-789,2025-09-30T10:30:00.000Z,2025-09-30T11:45:00.000Z,,{}\n' +
    'def-456,discord_789,discord,uvw-012,2025-09-30T09:15:00.000Z,2025-09-30T11:30:00.000Z,,{}\n')
  await store.close()
  const path = join(folder, 'sessions.csv')
  const before = statSync(path, { bigint: true })
  const next = makeStore(path, { nowMs: Date.parse('2025-09-30T12:00:00Z') }).store
  await next.open()
  await next.close()
  t.equal(statSync(path, { bigint: true }).ino, before.ino)
})

t.test('the log says what was loaded, from where', async (t) => {
  const { log, folder } = await load(t, HEADER + row('a'))
  t.same(log.lines, [`info: Loading sessions from ${folder}/sessions.csv`, `info: Loaded 1 sessions from ${folder}/sessions.csv`])
})

for (const [title, content] of Object.entries({
  'an empty file': '', 'a file of a header': HEADER, 'a file of blank lines': '\n \r\n', 'a file of a BOM': '\uFEFF', 'a header without line end': HEADER.trim()
})) {
  t.test(`${title} is an empty table`, async (t) => {
    const { report, after } = await load(t, content)
    t.equal(report.loaded, 0)
    t.equal(after, HEADER)
  })
}

t.test('a missing file is created, header included, before open resolves', async (t) => {
  const path = join(makeFolder(t), 'deep', 'er', 'sessions.csv')
  const { store } = makeStore(path)
  t.after(() => store.close())
  await store.open()
  t.equal(readFileSync(path, 'utf8'), HEADER)
})

for (const [title, content] of Object.entries({
  'Windows line ends': (HEADER + row('a')).replaceAll('\n', '\r\n'),
  'a byte order mark': `\uFEFF${HEADER}${row('a')}`,
  'blank lines': `\n${HEADER}\n${row('a')}  \n\r\n`,
  'no final line end': (HEADER + row('a')).trimEnd(),
  'quoted empty cells': HEADER + row('a', `telegram_1,telegram,t-a,${TIME},${TIME},"",""`),
  'null for nothing': HEADER + row('a', `telegram_1,telegram,t-a,${TIME},${TIME},null,null`),
  'spaces around header names': HEADER.replaceAll(',', ' , ') + row('a'),
  'columns in another order': `last_activity,metadata,user_id,thread_id,session_id,platform,pending_approval,created_at\n${TIME},{},telegram_1,t-a,a,telegram,,${TIME}\n`,
  'no optional columns but thread_id': `session_id,user_id,last_activity,thread_id\na,telegram_1,${TIME},t-a\n`,
  'times without zone and with microseconds': (HEADER + row('a')).replaceAll('.000Z', '.000999'),
  'every cell quoted': HEADER + `"a","telegram_1","telegram","t-a","${TIME}","${TIME}","","{}"\n`
})) {
  t.test(`a file with ${title} is read, and written back in our form`, async (t) => {
    const { report, after } = await load(t, content)
    t.match(report, { loaded: 1, rejected: 0 })
    t.equal(after, HEADER + row('a'))
  })
}

t.test('an empty platform is told by the user id, an empty thread is fresh, an empty creation is the last activity', async (t) => {
  const { sessions } = await load(t, HEADER + row('a', `slack_1,,,,${TIME},,`) + row('b', `someone,,,,${TIME},,`))
  t.match(sessions, [
    { platform: 'slack', threadId: 'fresh-1', createdAtMs: Date.parse(TIME) },
    { platform: 'api', threadId: 'fresh-2' }
  ])
})

t.test('a column may bear the name of something that every object has', async (t) => {
  const header = `${HEADER.trim()},constructor,__proto__,toString\n`
  const { store, folder } = await load(t, `${header}${row('a').trim()},1,2,3\n`)
  await store.create(makeSession({ sessionId: 'fresh' }))
  const [, first, second] = readFileSync(join(folder, 'sessions.csv'), 'utf8').trim().split('\n')
  t.same([first, second].map((line) => line?.slice(-6)), [',1,2,3', ',{},,,'].map((end) => end.slice(-6)))
})

t.test('unknown columns come back as they were, in every row, now and after a change', async (t) => {
  const header = `note,${HEADER.trim()},"a,b"\n`
  const { after, store, folder, sessions } = await load(t, `${header}"say ""hi""",${row('a').trim()}, x \n"two\nlines",${row('b').trim()},\n`)
  t.same(sessions.map(({ extra }) => extra), [{ note: 'say "hi"', 'a,b': ' x ' }, { note: 'two lines', 'a,b': '' }])
  t.equal(after, `${HEADER.trim()},note,"a,b"\n${row('a').trim()},"say ""hi""", x \n${row('b').trim()},two lines,\n`)
  await store.update('a', (session) => ({ ...session, metadata: { n: 1 } }))
  t.match(readFileSync(join(folder, 'sessions.csv'), 'utf8'), '"{""n"":1}","say ""hi""", x \n')
})

t.test('a big integer in metadata survives loading and rewriting', async (t) => {
  const { store, folder } = await load(t, HEADER + row('a', `telegram_1,telegram,t-a,${TIME},${TIME},,"{""id"": 123456789012345678}"`))
  await store.update('a', (session) => ({ ...session, lastActivityMs: START_MS }))
  t.match(readFileSync(join(folder, 'sessions.csv'), 'utf8'), '{""id"": 123456789012345678}')
})

t.test('JSON over several lines is read, and becomes one line', async (t) => {
  const { report, after } = await load(t, HEADER + row('a', `telegram_1,telegram,t-a,${TIME},${TIME},,"{\n  ""a"": 1,\r\n  ""b"": 2\n}"`) + row('b'))
  t.match(report, { loaded: 2, rejected: 0 })
  t.match(after, '"{   ""a"": 1,   ""b"": 2 }"')
})

for (const [reason, line] of Object.entries({
  '7 cells instead of 8': `b,telegram_1,telegram,t-b,${TIME},${TIME},`,
  '9 cells instead of 8': `${row('b').trim()},`,
  '2 cells instead of 8': '2,to',
  'session_id is empty': row('', `telegram_1,telegram,t-b,${TIME},${TIME},,{}`).trim(),
  'user_id is empty': row('b', `,telegram,t-b,${TIME},${TIME},,{}`).trim(),
  'last_activity is empty': row('b', `telegram_1,telegram,t-b,${TIME},,,{}`).trim(),
  'last_activity is not a time': row('b', `telegram_1,telegram,t-b,${TIME},yesterday,,{}`).trim(),
  'created_at is not a time': row('b', `telegram_1,telegram,t-b,x,${TIME},,{}`).trim(),
  'metadata is not a JSON object': row('b', `telegram_1,telegram,t-b,${TIME},${TIME},,{`).trim(),
  'pending_approval is not a JSON object': row('b', `telegram_1,telegram,t-b,${TIME},${TIME},[],{}`).trim(),
  'user_id begins like a spreadsheet formula': row('b', `=cmd|' /C calc'!A0,telegram,t-b,${TIME},${TIME},,{}`).trim(),
  'user_id has control characters': row('b', `a\u0007b,telegram,t-b,${TIME},${TIME},,{}`).trim(),
  'thread_id begins like a spreadsheet formula': row('b', `telegram_1,telegram,-b,${TIME},${TIME},,{}`).trim(),
  'thread_id has characters that an id cannot have': row('b', `telegram_1,telegram,t b,${TIME},${TIME},,{}`).trim(),
  'session_id has characters that an id cannot have': row('=b').trim(),
  'platform is not the name of a platform': row('b', `telegram_1,@SUM,t-b,${TIME},${TIME},,{}`).trim(),
  'a NUL character': row('b', `tele\0gram_1,telegram,t-b,${TIME},${TIME},,{}`).trim(),
  'a quote is never closed': row('b', `telegram_1,telegram,t-b,${TIME},${TIME},,"{""a"":`).trim(),
  'text follows a closing quote': row('b', `"tele"gram_1,telegram,t-b,${TIME},${TIME},,{}`).trim(),
  'not CSV': row('b', `tele\rgram_1,telegram,t-b,${TIME},${TIME},,{}`).trim()
})) {
  for (const [place, build] of Object.entries({
    between: (text: string) => `${HEADER}${row('a')}${text}\n${row('c')}${row('d')}`,
    last: (text: string) => `${HEADER}${row('a')}${row('c')}${row('d')}${text}`
  })) {
    t.test(`a row that stands ${place} goes aside (${reason}) and costs no other`, async (t) => {
      const { report, sessions, rejected, after, log } = await load(t, build(line))
      t.same(ids(sessions), ['a', 'c', 'd'])
      t.equal(report.rejected, 1)
      t.equal(rejected, `line,reason,row\n${place === 'last' ? 5 : 3},"${reason}","${line.replaceAll('"', '""')}"\n`)
      t.equal(after, HEADER + row('a') + row('c') + row('d'))
      t.match(log.lines, [String, /^warn: 1 rows of .* sessions_rejected_20251122T201500123Z\.csv$/, String])
    })
  }
}

t.test('a row that is not UTF-8 goes aside byte for byte and costs no other', async (t) => {
  const bad = Buffer.concat([Buffer.from('b,"'), Buffer.from([0xff, 0xc3]), Buffer.from(`é",telegram,t-b,${TIME},${TIME},,{}\n`)])
  const { sessions, rejected } = await load(t, Buffer.concat([Buffer.from(HEADER + row('a')), bad, Buffer.from(row('c'))]))
  t.same(ids(sessions), ['a', 'c'])
  t.ok(rejected.includes(`"b,""\xff\xc3${Buffer.from('é').toString('latin1')}"",telegram`))
})

t.test('a torn quote costs one row even when a later quote would close it', async (t) => {
  const torn = row('b', `telegram_1,telegram,t-b,${TIME},${TIME},,"{""a"":`)
  const quoted = row('c', `telegram_1,telegram,t-c,${TIME},${TIME},"",{}`)
  const { sessions, report } = await load(t, HEADER + row('a') + torn + quoted + torn.replaceAll('b', 'd') + row('e'))
  t.same(ids(sessions), ['a', 'c', 'e'])
  t.equal(report.rejected, 2)
})

t.test('cut at every byte, a file loses no row before the cut', async (t) => {
  const bytes = Buffer.from(HEADER + row('a', `telegram_é,telegram,t-a,${TIME},${TIME},"{""q"":""x,y""}","{""é"": ""🚀""}"`) + row('b'))
  const path = join(makeFolder(t), 'sessions.csv')
  const starts = [HEADER.length, bytes.indexOf('\nb,') + 1]
  for (let length = HEADER.length; length < bytes.length; length++) {
    writeFileSync(path, bytes.subarray(0, length))
    const { store } = makeStore(path)
    const { loaded, rejected } = await store.open()
    await store.close()
    const whole = length >= (starts[1] ?? 0) ? 1 : 0
    t.ok(loaded >= whole && loaded + rejected <= whole + 1, `cut at ${length}`)
    if (loaded + rejected === whole) t.ok(starts.includes(length), `nothing is lost at ${length}`)
  }
})

t.test('characters that lie across a chunk border are read whole', async (t) => {
  const many = Array.from({ length: 3000 }, (_, index) => row(`s-${index}`, `telegram_${'é🚀'.repeat(index % 40)}${index},telegram,t-${index},${TIME},${TIME},,"{""n"": ""ü🚀""}"`))
  const { report, sessions } = await load(t, HEADER + many.join(''))
  t.match(report, { loaded: 3000, rejected: 0 })
  t.ok(sessions.every(({ userId, metadata }) => !userId.includes('\ufffd') && metadata.n === 'ü🚀'))
})

t.test('files that are kept aside never overwrite each other', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  for (let run = 0; run < 3; run++) {
    writeFileSync(path, `${HEADER}bad ${run}\n`)
    const { store } = makeStore(path)
    await store.open()
    await store.close()
  }
  const names = readdirSync(folder).filter((name) => name.includes('rejected')).sort()
  t.same(names, [1, 2, 3].map((number) => `sessions_rejected_20251122T201500123Z${number === 1 ? '' : `_${number}`}.csv`))
  t.same(names.map((name) => readFileSync(join(folder, name), 'utf8').includes(`bad ${names.indexOf(name)}`)), [true, true, true])
  t.equal(statSync(join(folder, names[0] ?? '')).mode & 0o777, 0o600)
})

const at = (id: string, time: string, thread = `t-${id}`): string => row(id, `telegram_1,telegram,${thread},${TIME},${time},,{}`)
const EARLY = '2025-11-22T19:59:00.000Z'

t.test('of a double session_id the most recently active row stays and the other goes aside', async (t) => {
  for (const lines of [at('a', TIME, 'new') + at('a', EARLY, 'old'), at('a', EARLY, 'old') + at('a', TIME, 'new')]) {
    const { report, sessions, rejected } = await load(t, HEADER + lines)
    t.match(report, { loaded: 1, rejected: 1 })
    t.equal(sessions[0]?.threadId, 'new')
    t.match(rejected, /session_id is also on line \d.*a,telegram_1,telegram,old/)
  }
})

t.test('two sessions of one person and platform both load, and the most recently active continues', async (t) => {
  const { report, store } = await load(t, HEADER + at('a', TIME) + at('b', EARLY))
  t.equal(report.loaded, 2)
  const { session } = await store.continueOrCreate('telegram_1', 'telegram', () => { throw new Error('not needed') })
  t.equal(session.sessionId, 'a')
  t.ok(await store.get('b'))
})

t.test('a thread_id used twice stays with the most recently active; the other gets a fresh one, with a warning', async (t) => {
  const { store, log, after } = await load(t, HEADER + at('a', TIME, 'same') + at('b', EARLY, 'same'))
  t.equal((await store.get('a'))?.threadId, 'same')
  t.equal((await store.get('b'))?.threadId, 'fresh-1')
  t.match(after, 'b,telegram_1,telegram,fresh-1,')
  t.match(log.lines, [String, /^warn: A thread_id is used twice/, String])
})

t.test('a last_activity in the future counts as now', async (t) => {
  const { sessions } = await load(t, HEADER + at('a', '2031-01-01T00:00:00Z'))
  t.equal(sessions[0]?.lastActivityMs, START_MS)
})

t.test('an expired session is counted and not loaded; its thread is reported unless a loaded session uses it', async (t) => {
  const old = '2025-11-22T18:00:00.000Z'
  const { report, after } = await load(t, HEADER + at('gone', old, 'alone') + at('gone-2', old, 'shared') + at('here', TIME, 'shared'))
  t.same(report, { loaded: 1, expired: 2, rejected: 0, expiredThreads: ['alone'] })
  t.equal(after, HEADER + at('here', TIME, 'shared'))
})

for (const [title, content, message] of [
  ['without a header', row('a'), /lacks session_id, user_id, last_activity/],
  ['of another header', 'id,name\n1,x\n', /lacks session_id, user_id, last_activity/],
  ['without a required column', 'session_id,user_id\na,b\n', /lacks last_activity/],
  ['separated by ;', (HEADER + row('a')).replaceAll(',', ';'), /separated by ; instead of ,/],
  ['with a column twice', `${HEADER.trim()},platform\n`, /more than one column named "platform"/],
  ['of binary content', Buffer.from([0, 255, 254, 10, 34, 10]), /does not begin with the header/],
  ['of an open quote', '"session_id\n', /does not begin with the header/]
] as const) {
  t.test(`a file ${title} stops the start in one line and stays untouched`, async (t) => {
    const folder = makeFolder(t)
    const path = join(folder, 'sessions.csv')
    writeFileSync(path, content)
    const { store } = makeStore(path)
    await t.rejects(store.open(), { name: 'ServiceError', code: 'FILE_INVALID', message })
    await t.rejects(store.open(), { code: 'FILE_INVALID' }, 'the lock is free again')
    await store.close()
    t.same(readFileSync(path), Buffer.from(content))
    t.same(readdirSync(folder).sort(), ['sessions.csv', 'sessions.csv.lock'])
  })
}

t.test('a folder is refused', async (t) => {
  const { store } = makeStore(makeFolder(t))
  await t.rejects(store.open(), { code: 'FILE_INVALID', message: /is a folder/ })
})

t.test('a file that is a mount by itself is refused, whether the device or the mount table tells', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions file.csv')
  writeFileSync(path, HEADER)
  const table = join(folder, 'mountinfo')
  writeFileSync(table, `1 2 8:1 / / rw - ext4 x rw\n36 35 8:1 /x ${path.replaceAll(' ', '\\040')} rw - ext4 x rw\n`)
  const byTable: FileOperations = { ...realFiles, open: (name) => realFiles.open(name === '/proc/self/mountinfo' ? table : name) }
  const byDevice: FileOperations = {
    ...realFiles,
    stat: async (name) => ({ ...await realFiles.stat(name), ...(name === path ? { dev: 999n } : {}) })
  }
  for (const files of [byTable, byDevice]) {
    await t.rejects(makeStore(path, { files }).store.open(), { code: 'FILE_INVALID', message: /mount the folder/ })
  }
})

t.test('a link is followed: its target is locked and replaced, and the link stays', async (t) => {
  const folder = makeFolder(t)
  mkdirSync(join(folder, 'data'))
  const target = join(folder, 'data', 'real.csv')
  writeFileSync(target, HEADER + at('a', EARLY).trimEnd())
  symlinkSync('data/real.csv', join(folder, 'sessions.csv'))
  const first = makeStore(join(folder, 'sessions.csv')).store
  t.after(() => first.close())
  await first.open()
  t.equal(readFileSync(target, 'utf8'), HEADER + at('a', EARLY))
  t.equal(existsSync(`${target}.lock`), true)
  await t.rejects(makeStore(target).store.open(), { code: 'FILE_LOCKED' })
})

t.test('a dangling link creates its target; a circle of links is refused', async (t) => {
  const folder = makeFolder(t)
  symlinkSync('data/real.csv', join(folder, 'sessions.csv'))
  const { store } = makeStore(join(folder, 'sessions.csv'))
  t.after(() => store.close())
  await store.open()
  t.equal(readFileSync(join(folder, 'data', 'real.csv'), 'utf8'), HEADER)
  symlinkSync('b.csv', join(folder, 'a.csv'))
  symlinkSync('a.csv', join(folder, 'b.csv'))
  await t.rejects(makeStore(join(folder, 'a.csv')).store.open(), { code: 'FILE_INVALID', message: /circle/ })
})

t.test('an existing file keeps its mode', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  writeFileSync(path, HEADER.trimEnd())
  chmodSync(path, 0o640)
  const { store } = makeStore(path)
  await store.open()
  await store.close()
  t.equal(readFileSync(path, 'utf8'), HEADER)
  t.equal(statSync(path).mode & 0o777, 0o640)
})

t.test('what a killed run left half-written is removed', async (t) => {
  const folder = makeFolder(t, { 'sessions.csv.tmp': 'half' })
  const { store } = makeStore(join(folder, 'sessions.csv'))
  t.after(() => store.close())
  await store.open()
  t.same(readdirSync(folder).sort(), ['sessions.csv', 'sessions.csv.lock'])
})
