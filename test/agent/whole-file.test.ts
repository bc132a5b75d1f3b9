import { closeSync, copyFileSync, existsSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { openDatabase } from '../../src/agent/database.ts'
import { checkFile } from '../../src/agent/file-check.ts'
import { readWhole } from '../../src/agent/whole-file.ts'
import { makeFolder } from '../fixtures/folder.ts'

/** What a crash leaves: a file, and a log that is not folded in. Returns the path of a copy of both, taken while they are in use. */
async function leaveFile (t: Test): Promise<string> {
  const path = join(makeFolder(t, { 'conversations.sqlite': '' }), 'conversations.sqlite')
  const { db, notes } = await openDatabase(path, () => 0)
  t.after(() => { db.close() })
  for (let n = 0; n < 50; n++) {
    await notes.put(['notes'], String(n), { text: 'x'.repeat(2000) })
    if (n === 25) db.pragma('wal_checkpoint(TRUNCATE)')
  }
  for (const end of ['', '-wal']) copyFileSync(`${path}${end}`, `${path}.copy${end}`)
  return `${path}.copy`
}

t.test('the file is opened with a log that is synced at every commit, and never made', async t => {
  const dir = makeFolder(t, { 'conversations.sqlite': '' })
  const { db } = await openDatabase(join(dir, 'conversations.sqlite'), () => 0)
  t.equal(db.pragma('journal_mode', { simple: true }), 'wal')
  t.equal(db.pragma('synchronous', { simple: true }), 2)
  db.close()
  await t.rejects(openDatabase(join(dir, 'missing.sqlite'), () => 0), { code: 'SQLITE_CANTOPEN' })
  t.notOk(existsSync(join(dir, 'missing.sqlite')))
})

t.test('a file that is whole is one file afterwards, with all that its log held', async t => {
  const path = await leaveFile(t)
  t.ok(statSync(`${path}-wal`).size > 0)
  await checkFile(path)
  t.notOk(existsSync(`${path}-wal`))
  const db = new Database(path, { readonly: true })
  t.same(db.prepare('SELECT count(*) AS count FROM items').get(), { count: 50 })
  db.close()
})

t.test('a log that is cut off or spoiled at its end counts up to there', async t => {
  const path = await leaveFile(t)
  const log = openSync(`${path}-wal`, 'r+')
  writeSync(log, 'spoiled', statSync(`${path}-wal`).size - 100)
  closeSync(log)
  readWhole(path)
  const db = new Database(path, { readonly: true })
  t.same(db.prepare('SELECT count(*) AS count FROM items').get(), { count: 49 })
  db.close()
})

t.test('a spoiled page, another database, a reader in the way: each is said', async t => {
  const path = await leaveFile(t)
  const reader = new Database(path)
  const walk = reader.prepare('SELECT * FROM items').iterate()
  walk.next()
  await t.rejects(checkFile(path), { code: 'SQLITE_BUSY' })
  walk.return?.()
  reader.close()
  await checkFile(path)

  const other = join(path, '..', 'other.sqlite')
  new Database(other).exec('CREATE TABLE strangers (name TEXT)').close()
  await t.rejects(checkFile(other), { code: 'SQLITE_NOTADB' })

  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(4096, 0xee), 0, 4096, Math.floor(statSync(path).size / 2 / 4096) * 4096)
  closeSync(file)
  await t.rejects(checkFile(path), { code: 'SQLITE_CORRUPT' })
})
