import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { realFiles } from '../../../src/sessions/csv/files.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { makeBigFile } from '../../fixtures/big-table.ts'
import { makeFailingFiles } from '../../fixtures/failing-files.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeClock, makeLog, makeSession } from '../../fixtures/sessions.ts'

/** A store that tells what it does, on a small table or on one whose changes go into a journal. */
async function setUp (t: Test, { isBig = false, fsync = 'always' }: { isBig?: boolean, fsync?: 'always' | 'never' } = {}) {
  const path = join(makeFolder(t), 'sessions.csv')
  if (isBig) writeFileSync(path, makeBigFile())
  const told: string[] = []
  const times: number[] = []
  const log = makeLog()
  const failing = makeFailingFiles(realFiles)
  const observer = {
    saved (changes: number, ms: number) { told.push(`saved ${changes}`); times.push(ms) },
    refused (changes: number) { told.push(`refused ${changes}`) },
    synced (call: string, ms: number) { told.push(call); times.push(ms) },
    rewrote (ms: number) { told.push('rewrote'); times.push(ms) }
  }
  const store = new CsvSessionStore({ path, timeoutMs: 1e12, fsync, now: makeClock().now, files: failing.files, retryMs: 20, log, observer })
  t.after(() => store.close())
  await store.open()
  told.length = 0
  return { store, told, times, log, failing }
}

const makeThree = (): ReturnType<typeof makeSession>[] => ['a', 'b', 'c'].map(sessionId => makeSession({ sessionId }))

t.test('what is saved together is told together, with the rewrite and the syncs of a small file', async t => {
  const { store, told, times } = await setUp(t)
  await Promise.all(makeThree().map(async session => await store.create(session)))
  t.same(told, ['fsync', 'fsync', 'rewrote', 'saved 3'], 'the file and its folder')
  t.ok(times.every(ms => ms >= 0 && ms < 60_000))
  t.equal(store.lagMs(), 0)
})

t.test('a group that goes into the journal costs one sync, and the file is behind until it is rewritten', async t => {
  const { store, told } = await setUp(t, { isBig: true })
  await store.create(makeSession({ sessionId: 'first' }))
  told.length = 0
  await Promise.all(makeThree().map(async session => await store.create(session)))
  t.same(told, ['fdatasync', 'saved 3'])
  t.ok(store.lagMs() > 0)
  while (store.lagMs() > 0) await new Promise(resolve => setImmediate(resolve))
  t.equal(told.filter(what => what === 'rewrote').length, 1)
})

t.test('while the file cannot be rewritten, its lag grows, and is over when it can', async t => {
  const { store, failing, log } = await setUp(t, { isBig: true })
  await store.create(makeSession({ sessionId: 'first' }))
  failing.failWhen = (_, name) => name === 'create'
  await log.waitFor('the session file cannot be rewritten')
  const lagMs = store.lagMs()
  t.ok(lagMs > 0)
  await new Promise(resolve => setImmediate(resolve))
  t.ok(store.lagMs() > lagMs)
  failing.reset()
  await log.waitFor('The session file can be rewritten again')
  while (store.lagMs() > 0) await new Promise(resolve => setImmediate(resolve))
  t.pass('the file has caught up')
})

t.test('changes that cannot be saved are told as refused, and saved is only what was', async t => {
  const { store, told, failing } = await setUp(t)
  failing.failWhen = () => true
  await Promise.all(makeThree().map(async session => { await t.rejects(store.create(session), { code: 'STORE_UNAVAILABLE' }) }))
  t.same(told.filter(what => !what.includes('sync')), ['refused 3'])
  failing.reset()
})

t.test('what only reads, and what is not synced, is told as neither', async t => {
  const { store, told } = await setUp(t, { fsync: 'never' })
  await store.create(makeSession())
  t.same(told, ['rewrote', 'saved 1'])
  await store.continueOrCreate('telegram_1', 'telegram', () => makeSession({ sessionId: 'other' }))
  await store.count()
  t.equal(told.length, 2)
})
