import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { copyConversations } from '../../src/agent/conversation-copy.ts'
import { makeFolder } from '../fixtures/folder.ts'

function countRows (path: string): unknown {
  const database = new Database(path, { readonly: true })
  try {
    return database.prepare('SELECT count(*) FROM words').pluck().get()
  } finally {
    database.close()
  }
}

t.test('a copy holds what was committed, while a writer has the file open and in the middle of a transaction', async t => {
  const folder = makeFolder(t)
  const path = join(folder, 'conversations.sqlite')
  const writer = new Database(path, { timeout: 0 })
  t.after(() => { writer.close() })
  writer.pragma('journal_mode = WAL')
  writer.exec('CREATE TABLE words (word TEXT); INSERT INTO words VALUES (1), (2)')
  writer.exec('BEGIN IMMEDIATE; INSERT INTO words VALUES (3)')
  const target = join(folder, 'copy.sqlite')
  t.equal(copyConversations(path, target), statSync(target).size)
  writer.exec('COMMIT')
  t.same([countRows(target), countRows(path)], [2, 3])
  t.equal(statSync(target).mode & 0o777, 0o600)
  t.same(readdirSync(folder).filter(name => name.startsWith('copy')), ['copy.sqlite'])
})

t.test('a log that a killed service left is part of the copy', async t => {
  const folder = makeFolder(t)
  const live = join(folder, 'live.sqlite')
  const writer = new Database(live)
  writer.pragma('journal_mode = WAL')
  writer.exec('CREATE TABLE words (word TEXT); INSERT INTO words VALUES (1)')
  const path = join(folder, 'conversations.sqlite')
  const { copyFileSync } = await import('node:fs')
  for (const end of ['', '-wal']) copyFileSync(`${live}${end}`, `${path}${end}`)
  writer.close()
  copyConversations(path, join(folder, 'copy.sqlite'))
  t.equal(countRows(join(folder, 'copy.sqlite')), 1)
})

t.test('without conversations there is no copy; no file is overwritten; what cannot be read leaves nothing behind', async t => {
  const folder = makeFolder(t, { 'broken.sqlite': 'no database at all, but long enough to be taken for the head of one'.repeat(20) })
  t.equal(copyConversations(join(folder, 'none.sqlite'), join(folder, 'copy.sqlite')), undefined)
  t.notOk(existsSync(join(folder, 'copy.sqlite')))
  const broken = join(folder, 'broken.sqlite')
  t.throws(() => copyConversations(broken, join(folder, 'copy.sqlite')), { code: 'CONVERSATIONS_UNAVAILABLE', message: /broken\.sqlite cannot be copied: / })
  t.notOk(existsSync(join(folder, 'copy.sqlite')))
  writeFileSync(join(folder, 'mine.sqlite'), 'mine')
  t.throws(() => copyConversations(broken, join(folder, 'mine.sqlite')), { code: 'EEXIST' })
  t.equal(statSync(join(folder, 'mine.sqlite')).size, 4)
})
