import { statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ConversationFile } from '../../src/agent/checkpointer.ts'
import { AgentBench } from '../fixtures/agent.ts'
import { makeFolder } from '../fixtures/folder.ts'

t.test('the file is for its owner alone, made with its folder, and one piece after a close', async t => {
  const dir = makeFolder(t)
  const path = join(dir, 'new', 'conversations.sqlite')
  const file = await ConversationFile.open({ path })
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(statSync(`${path}-wal`).mode & 0o777, 0o600)
  t.equal(statSync(join(dir, 'new')).mode & 0o777, 0o700)
  await file.close()
  await file.close()
  t.same((await readdir(join(dir, 'new'))).filter(name => !name.endsWith('.lock')), ['conversations.sqlite'])
})

t.test('a second opener is refused in one line that names the file', async t => {
  const path = join(makeFolder(t), 'conversations.sqlite')
  const file = await ConversationFile.open({ path })
  t.after(() => file.close())
  await t.rejects(ConversationFile.open({ path }), { code: 'FILE_LOCKED', message: /conversations\.sqlite/ })
})

t.test('a file that is no database is refused and left as it is', async t => {
  const dir = makeFolder(t, { 'conversations.sqlite': 'this is not a database, however long it may be'.repeat(100) })
  await t.rejects(ConversationFile.open({ path: join(dir, 'conversations.sqlite') }), { code: 'FILE_INVALID', message: /not a database/ })
  t.match(statSync(join(dir, 'conversations.sqlite')).size, 4600)
})

t.test('threads are listed page by page with the time of their last write', async t => {
  const bench = await AgentBench.open(t)
  const before = Date.now()
  for (const threadId of ['b', 'a', 'c']) await bench.turn('Hello', { threadId })
  const first = await bench.agent.listThreads('', 2)
  t.same(first.map(thread => thread.threadId), ['a', 'b'])
  t.same((await bench.agent.listThreads('b', 2)).map(thread => thread.threadId), ['c'])
  for (const { lastWriteMs } of first) t.ok(lastWriteMs >= before - 1 && lastWriteMs <= Date.now() + 1)
})
