import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { realFiles } from '../../../src/sessions/csv/files.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { testSessionStore } from '../../contract/session-store.ts'
import { makeFailingFiles } from '../../fixtures/failing-files.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeClock, makeLog, makeSession, START_MS } from '../../fixtures/sessions.ts'

const HEADER = 'session_id,user_id,platform,thread_id,created_at,last_activity,pending_approval,metadata\n'
const base = { timeoutMs: 60_000, fsync: 'always', now: makeClock().now } as const

t.test('a CSV store is a session store', async (t) => {
  testSessionStore(t, async (t, settings) => {
    const path = join(makeFolder(t), 'sessions.csv')
    return () => new CsvSessionStore({ path, fsync: 'always', log: makeLog(), ...settings })
  })
})

t.test('a change shows in no read before it is saved', async (t) => {
  const store = new CsvSessionStore({ ...base, path: join(makeFolder(t), 'sessions.csv'), log: makeLog() })
  t.after(() => store.close())
  await store.open()
  const created = store.create(makeSession())
  t.equal(await store.get('s-1'), undefined)
  await created
  t.ok(await store.get('s-1'))
})

t.test('a session is one line of the documented form', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  const store = new CsvSessionStore({ ...base, path, log: makeLog() })
  t.after(() => store.close())
  await store.open()
  t.equal(readFileSync(path, 'utf8'), HEADER)
  await store.create(makeSession({ pendingApproval: { a: 'b,c\n\u0085\u2028\u007f' } }))
  t.equal(readFileSync(path, 'utf8'), HEADER +
    's-1,telegram_1,telegram,t-s-1,2025-11-22T20:15:00.123Z,2025-11-22T20:15:00.123Z,"{""a"":""b,c\\n\\u0085\\u2028\\u007f""}",{}\n')
})

t.test('a new file is readable by its owner alone, in a new folder open to its owner alone', async (t) => {
  const folder = join(makeFolder(t), 'a', 'b')
  const store = new CsvSessionStore({ ...base, path: join(folder, 'sessions.csv'), log: makeLog() })
  await store.open()
  await store.close()
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.same(readdirSync(folder).sort(), ['sessions.csv', 'sessions.csv.lock'])
  for (const name of readdirSync(folder)) t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
})

t.test('a session that would not come back from the file is refused, and its neighbours are saved', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  const store = new CsvSessionStore({ ...base, path, log: makeLog() })
  t.after(() => store.close())
  await store.open()
  const bad = [
    { userId: '=cmd' }, { userId: '-1' }, { userId: 'a\nb' }, { userId: '\ud800' }, { userId: ' ' }, { platform: 'Web' }, { threadId: '-t' },
    { sessionId: 'a b' }, { lastActivityMs: 0.5 }, { extra: { unknown: 'x' } }
  ].map((fields, index) => makeSession({ sessionId: `bad-${index}`, ...fields }))
  const circular: Record<string, unknown> = {}
  circular.self = circular
  const outcomes = await Promise.allSettled([
    store.create(makeSession()),
    ...bad.map((session) => store.create(session)),
    store.create(makeSession({ sessionId: 'circular', metadata: circular })),
    store.create(makeSession({ sessionId: '-ok' }))
  ])
  t.same(outcomes.map(({ status }) => status === 'fulfilled'), [true, ...bad.map(() => false), false, true])
  t.equal(readFileSync(path, 'utf8').split('\n').length, 4)
  t.equal(store.status().canSave, true)
})

t.test('changes that come in one go are saved together, and what changes nothing is not saved', async (t) => {
  const path = join(makeFolder(t), 'sessions.csv')
  const store = new CsvSessionStore({ ...base, path, log: makeLog() })
  t.after(() => store.close())
  await store.open()
  const files = new Set<bigint>()
  const look = (): void => { files.add(statSync(path, { bigint: true }).ctimeNs) }
  look()
  await Promise.all(Array.from({ length: 100 }, (_, index) => store.create(makeSession({ sessionId: `s-${index}` })).then(look)))
  t.equal(files.size, 2)
  await store.update('s-1', (session) => session)
  await store.delete('none')
  await store.removeSilentSince(START_MS - 1, 100)
  look()
  t.equal(files.size, 2)
})

t.test('changes with long rows are saved in several groups: none of them holds the event loop for long', async (t) => {
  const failing = makeFailingFiles(realFiles)
  const store = new CsvSessionStore({ ...base, path: join(makeFolder(t), 'sessions.csv'), log: makeLog(), files: failing.files })
  t.after(() => store.close())
  await store.open()
  failing.reset()
  const metadata = { text: 'x'.repeat(8192) }
  await Promise.all(Array.from({ length: 60 }, (_, index) => store.create(makeSession({ sessionId: `s-${index}`, metadata }))))
  t.equal(failing.calls.filter((name) => name === 'rename').length, 4)
})

for (const [name, options] of Object.entries({
  timeoutMs: { timeoutMs: -1 }, path: { path: '' }, retryMs: { retryMs: 0.5 }
})) {
  t.test(`a ${name} that makes no sense is refused, saying what came`, async (t) => {
    const value = Object.values(options)[0]
    t.throws(() => new CsvSessionStore({ ...base, path: 'x', log: makeLog(), ...options }), { message: new RegExp(`^${name} must be .*received ${JSON.stringify(value)}`) })
  })
}

t.test('a store closes while it opens, and opens again after it closed', async (t) => {
  const store = new CsvSessionStore({ ...base, path: join(makeFolder(t), 'sessions.csv'), log: makeLog() })
  const opened = store.open()
  await t.rejects(store.open(), { message: /opening/ })
  await store.close()
  await opened
  t.match(store.status(), { canSave: false, reason: 'the store is closed' })
  await store.open()
  t.equal(store.status().canSave, true)
  await store.close()
})
