import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { backUp } from '../../../src/sessions/admin/backup.ts'
import { compactSessions } from '../../../src/sessions/admin/compact.ts'
import { importSessions } from '../../../src/sessions/admin/import.ts'
import type { AdminOptions } from '../../../src/sessions/admin/options.ts'
import { realFiles } from '../../../src/sessions/csv/files.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { HEADER, makeAdmin, readJson, readText } from '../../fixtures/admin.ts'
import { makeFailingFiles } from '../../fixtures/failing-files.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeLog, makeSession } from '../../fixtures/sessions.ts'

const T = '2025-11-22T20:00:00.000Z'
const LATER = '2025-11-22T20:10:00.000Z'

function row (id: string, { thread = `t-${id}`, lastActivity = T, extra = '' } = {}): string {
  return `${id},telegram_1,telegram,${thread},${T},${lastActivity},,{}${extra}`
}

function makeFile (...rows: string[]): string {
  return `${[HEADER, ...rows].join('\n')}\n`
}

async function openStore (t: Test, admin: AdminOptions): Promise<CsvSessionStore> {
  const store = new CsvSessionStore({ ...admin, log: makeLog() })
  t.after(() => store.close())
  await store.open()
  return store
}

t.test('compact recovers, sets aside, rewrites and removes the journal; the second time there is nothing to do', async t => {
  const file = makeFile(row('a'), row('old', { lastActivity: '2025-01-01T00:00:00.000Z' }), 'half,a,row')
  const folder = makeFolder(t, { 'sessions.csv': file })
  const admin = makeAdmin(folder)
  const first = await compactSessions(admin)
  t.match(readJson(first), { is_rewritten: true, sessions: 1, expired_removed: 1, rejected: 1 })
  t.match(first.notes, [/1 rows of .* could not be read; they are kept in sessions_rejected_/])
  t.equal(readFileSync(admin.path, 'utf8'), makeFile(row('a')))
  const second = await compactSessions(admin)
  t.match(readJson(second), { is_rewritten: false, sessions: 1, rejected: 0 })
  t.match(readText(second), 'It was as the service leaves it, and stays as it is')
})

t.test('compact takes in the journal of a killed run', async t => {
  const folder = makeFolder(t)
  const admin = makeAdmin(folder)
  const store = await openStore(t, admin)
  await Promise.all(Array.from({ length: 1200 }, async (_, index) => { await store.create(makeSession({ sessionId: `s-${index}` })) }))
  // What a kill in this instant would leave.
  const left = Object.fromEntries(readdirSync(folder).filter(name => !name.endsWith('.lock')).map(name => [name, readFileSync(join(folder, name), 'utf8')]))
  t.ok(left['sessions.csv.journal'] !== undefined)
  const dead = join(folder, 'dead')
  mkdirSync(dead)
  for (const [name, text] of Object.entries(left)) writeFileSync(join(dead, name), text)
  const other = makeAdmin(dead)
  t.match(readJson(await compactSessions(other)), { is_rewritten: true, sessions: 1200 })
  t.notOk(existsSync(`${other.path}.journal`))
  t.equal(readFileSync(other.path, 'utf8').split('\n').length, 1202)
})

t.test('what changes the file refuses while a service has it, and compact where there is no file', async t => {
  const folder = makeFolder(t, { 'other.csv': makeFile(row('a')) })
  const admin = makeAdmin(folder)
  await t.rejects(compactSessions(admin), { code: 'FILE_INVALID', message: /^There is no .*sessions\.csv to compact$/ })
  t.same(readdirSync(folder), ['other.csv'])
  const store = await openStore(t, admin)
  await store.create(makeSession())
  await t.rejects(compactSessions(admin), { code: 'FILE_LOCKED', message: `${admin.path} is in use by another process` })
  await t.rejects(importSessions(admin, join(folder, 'other.csv')), { code: 'FILE_LOCKED', message: `${admin.path} is in use by another process` })
  t.equal((await store.count()).count, 1)
})

// --- import

t.test('import adds what is new, replaces what is older, leaves the rest, and again changes nothing', async t => {
  const folder = makeFolder(t, {
    'sessions.csv': makeFile(row('a', { lastActivity: LATER }), row('b'), row('c')),
    'other.csv': [
      '\uFEFFuser_id,session_id,last_activity,thread_id',
      'telegram_2,a,2025-11-22 20:05:00,t-2', 'telegram_2,b,2025-11-22 20:05:00,t-3', 'telegram_2,n,2025-11-22T20:05:00.123456,t-4',
      'telegram_2,old,2025-01-01T00:00:00,t-5', ',x,2025-11-22T20:05:00,t-6', 'telegram_2,n,2025-11-22T20:04:00,t-7'
    ].join('\r\n')
  })
  const admin = makeAdmin(folder)
  const source = join(folder, 'other.csv')
  const other = readFileSync(source)
  const outcome = await importSessions(admin, source)
  t.match(readJson(outcome), {
    added: 1, replaced: 1, left: 1, expired: 1, rejected: [{ line: 6, reason: 'user_id is empty' }, { line: 7, reason: /session_id is also on line 4/ }]
  })
  t.same(outcome.notes?.length, 2)
  t.match(outcome.notes?.[0], /other\.csv, line 6: user_id is empty$/)
  t.equal(readFileSync(admin.path, 'utf8'), makeFile(
    row('a', { lastActivity: LATER }), row('c'),
    'n,telegram_2,telegram,t-4,2025-11-22T20:05:00.123Z,2025-11-22T20:05:00.123Z,,{}',
    'b,telegram_2,telegram,t-3,2025-11-22T20:05:00.000Z,2025-11-22T20:05:00.000Z,,{}'
  ))
  const { ino } = statSync(admin.path)
  t.match(readJson(await importSessions(admin, source)), { added: 0, replaced: 0, left: 3 })
  t.equal(statSync(admin.path).ino, ino)
  t.same(readFileSync(source), other)
})

t.test('import into no file makes one; a file that is no session file changes nothing', async t => {
  const folder = makeFolder(t, { 'other.csv': makeFile(row('a')), 'no.csv': 'a;b\n' })
  const admin = makeAdmin(folder)
  await t.rejects(importSessions(admin, join(folder, 'no.csv')), { code: 'FILE_INVALID', message: /no\.csv does not begin with the header/ })
  await t.rejects(importSessions(admin, join(folder, 'none.csv')), { code: 'ENOENT' })
  t.same(readdirSync(folder).sort(), ['no.csv', 'other.csv'])
  t.match(readJson(await importSessions(admin, join(folder, 'other.csv'))), { added: 1 })
  t.equal(readFileSync(admin.path, 'utf8'), makeFile(row('a')))
})

t.test('columns that only one of the two files has are kept', async t => {
  const folder = makeFolder(t, {
    'sessions.csv': `${HEADER},team\n${row('a', { extra: ',red' })}\n${row('b', { extra: ',blue' })}\n`,
    'other.csv': `${HEADER},shoe\n${row('a', { extra: ',44', lastActivity: LATER })}\n${row('c', { extra: ',39' })}\n`
  })
  const admin = makeAdmin(folder)
  await importSessions(admin, join(folder, 'other.csv'))
  t.equal(readFileSync(admin.path, 'utf8'), [
    `${HEADER},team,shoe`, row('b', { extra: ',blue,' }), row('c', { extra: ',,39' }), row('a', { extra: ',red,44', lastActivity: LATER }), ''
  ].join('\n'))
})

t.test('a thread that both files use stays with the more recently active session', async t => {
  const folder = makeFolder(t, {
    'sessions.csv': makeFile(row('a', { thread: 'one' }), row('b', { thread: 'two', lastActivity: LATER })),
    'other.csv': makeFile(row('c', { thread: 'one', lastActivity: LATER }), row('d', { thread: 'two' }))
  })
  const admin = makeAdmin(folder)
  const outcome = await importSessions(admin, join(folder, 'other.csv'))
  t.match(outcome.notes, [/A thread_id is used twice.*\(session d\)/, /A thread_id is used twice.*\(session a\)/])
  const threads = readFileSync(admin.path, 'utf8').trim().split('\n').slice(1).map(line => line.split(',')).map(([id, , , thread]) => [id, thread])
  t.match(Object.fromEntries(threads), { a: /^new-/, b: 'two', c: 'one', d: /^new-/ })
})

for (const isLasting of [false, true]) {
  t.test(`an import leaves the old file or the new one, whichever call fails${isLasting ? ' and all after it' : ''}`, async t => {
    const folder = makeFolder(t, { 'other.csv': makeFile(row('n')) })
    const text = makeFile(row('a'))
    let failed = 0
    for (let call = 1; ; call++) {
      writeFileSync(join(folder, 'sessions.csv'), text)
      const failing = makeFailingFiles(realFiles, 'ENOSPC')
      const admin = makeAdmin(folder, { files: failing.files, fsync: 'always' })
      failing.failWhen = number => isLasting ? number >= call : number === call
      const outcome = await importSessions(admin, join(folder, 'other.csv')).catch((error: unknown) => error)
      const after = readFileSync(join(folder, 'sessions.csv'), 'utf8')
      t.ok([text, makeFile(row('a'), row('n'))].includes(after), `call ${call}`)
      if (failing.calls.length < call) break
      if (outcome instanceof Error) failed++
    }
    t.ok(failed > 5)
  })
}

// --- backup

function copyAs (text: string): AdminOptions['copyConversations'] {
  return async target => {
    writeFileSync(target, text, { flag: 'wx', mode: 0o600 })
    return text.length
  }
}

t.test('a backup is two files for their owner alone, in a folder for the owner alone', async t => {
  const folder = makeFolder(t, { 'sessions.csv': makeFile(row('a'), row('old', { lastActivity: '2025-01-01T00:00:00.000Z' })) })
  const target = join(folder, 'deep', 'backup')
  const outcome = await backUp(makeAdmin(folder, { copyConversations: copyAs('talk') }), target)
  t.match(readJson(outcome), { folder: target, sessions: 2, ended_meanwhile: 0, conversations_bytes: 4, rejected_file: null })
  t.same(readdirSync(target).sort(), ['conversations.sqlite', 'sessions.csv'])
  t.same([target, join(target, 'sessions.csv'), join(target, 'conversations.sqlite')].map(path => statSync(path).mode & 0o777), [0o700, 0o600, 0o600])
  t.equal(readFileSync(join(target, 'sessions.csv'), 'utf8'), readFileSync(join(folder, 'sessions.csv'), 'utf8'))
})

t.test('a backup overwrites nothing, and copies nothing where there is no file', async t => {
  const folder = makeFolder(t, { 'sessions.csv': makeFile(row('a')) })
  mkdirSync(join(folder, 'full'))
  writeFileSync(join(folder, 'full', 'conversations.sqlite'), 'mine')
  const admin = makeAdmin(folder, { copyConversations: copyAs('talk') })
  await t.rejects(backUp(admin, join(folder, 'full')), { code: 'FILE_INVALID', message: /conversations\.sqlite exists and is not overwritten/ })
  t.same(readdirSync(join(folder, 'full')), ['conversations.sqlite'])
  await t.rejects(backUp(admin, folder), { message: /sessions\.csv exists and is not overwritten/ })
  await t.rejects(backUp(makeAdmin(join(folder, 'nowhere')), join(folder, 'new')), { message: /^There is no .* to copy$/ })
  t.notOk(existsSync(join(folder, 'new')))
})

t.test('a session that ends while the conversations are copied is not in the backup; one that begins is not either', async t => {
  const folder = makeFolder(t)
  const admin = makeAdmin(folder)
  const store = await openStore(t, admin)
  for (const sessionId of ['a', 'b', 'c']) await store.create(makeSession({ sessionId }))
  const copyConversations = async (target: string): Promise<number> => {
    await store.delete('b')
    await store.create(makeSession({ sessionId: 'd' }))
    writeFileSync(target, '')
    return 0
  }
  const outcome = await backUp({ ...admin, copyConversations }, join(folder, 'backup'))
  t.match(readJson(outcome), { sessions: 2, ended_meanwhile: 1 })
  t.match(readText(outcome), '1 session ended while the copy was made, and is not in it')
  t.same(readFileSync(join(folder, 'backup', 'sessions.csv'), 'utf8').match(/^\w+(?=,telegram)/gm), ['a', 'c'])
})

t.test('a backup that fails leaves no file behind', async t => {
  const folder = makeFolder(t, { 'sessions.csv': makeFile(row('a')) })
  const target = join(folder, 'backup')
  const failing = makeFailingFiles(realFiles)
  const copyConversations = async (path: string): Promise<number> => {
    writeFileSync(path, '')
    failing.failWhen = () => true
    return 0
  }
  await t.rejects(backUp(makeAdmin(folder, { files: { ...failing.files, remove: realFiles.remove }, copyConversations }), target))
  t.same(readdirSync(target), [])
  await t.rejects(backUp(makeAdmin(folder, { copyConversations: async () => { throw new Error('no') } }), target), { message: 'no' })
  t.same(readdirSync(target), [])
})

t.test('rows that cannot be read are in the backup too, beside the sessions', async t => {
  const folder = makeFolder(t, { 'sessions.csv': makeFile(row('a'), 'half,a,row') })
  const outcome = await backUp(makeAdmin(folder), join(folder, 'backup'))
  t.match(readJson(outcome), { sessions: 1, conversations_bytes: null, rejected_file: 'sessions_rejected_20251122T201500123Z.csv' })
  t.match(readFileSync(join(folder, 'backup', 'sessions_rejected_20251122T201500123Z.csv'), 'utf8'), '3,"3 cells instead of 8","half,a,row"')
  t.match(outcome.notes, [/left out/, /There is no .*conversations\.sqlite: the backup has no conversations/])
})
