import { copyFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { HumanMessage, type BaseMessage } from '@langchain/core/messages'
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { createAssistant } from '../../../src/agent/assistant.ts'
import { ConversationFile } from '../../../src/agent/checkpointer.ts'
import { OfflineModel } from '../../../src/agent/offline-model.ts'
import { copyConversations } from '../../../src/agent/conversation-copy.ts'
import { ItemStore } from '../../../src/agent/item-store.ts'
import { AgentBench } from '../../fixtures/agent.ts'
import { listTuples, makeMessages, openSaver, putValues, readValues, threadConfig } from '../../fixtures/checkpoints.ts'
import { makeFolder } from '../../fixtures/folder.ts'

/** A file as it was before: with two conversations, of which one waits with a question, written by LangGraph's own saver. */
async function leaveOldFile (t: Test) {
  const dir = makeFolder(t)
  const db = new Database(join(dir, 'conversations.sqlite'))
  const saver = new SqliteSaver(db)
  const log = { info () {}, warn () {}, error () {} }
  const { graph } = createAssistant({ model: new OfflineModel(), checkpointer: saver, notes: new ItemStore(db), log })
  const context = { platform: 'api', userId: 'api_ann', approved: [], rejected: {} }
  const say = async (threadId: string, text: string) => {
    await graph.invoke({ messages: [new HumanMessage(text)] }, { configurable: { thread_id: threadId }, context })
  }
  await say('thread', 'first of all')
  await say('thread', 'hello')
  await say('asking', 'what time is it?')
  await say('asking', 'note: milk')
  const tuples = await listTuples(saver.list({ configurable: {} }))
  db.close()
  return { dir, tuples }
}

const text = (value: unknown) => JSON.stringify(value)

t.test('conversations that LangGraph\'s own saver kept are there, whole and in their order, with their questions and their times', async t => {
  const before = Date.now()
  const { dir, tuples } = await leaveOldFile(t)
  const bench = await AgentBench.open(t, dir)
  const { checkpointer } = bench.file
  for (const { config, checkpoint, metadata, pendingWrites } of tuples) {
    const read = await checkpointer.getTuple(config)
    t.equal(text(read?.checkpoint), text(checkpoint))
    t.same(read?.metadata, metadata)
    t.equal(text(read?.pendingWrites?.map(write => text(write)).sort()), text(pendingWrites?.map(write => text(write)).sort()))
  }
  t.same((await listTuples(checkpointer.list({ configurable: {} }))).map(({ config, parentConfig }) => [config, parentConfig]),
    tuples.map(({ config, parentConfig }) => [config, parentConfig]))
  const threads = await bench.agent.listThreads('', 9)
  t.same(threads.map(thread => thread.threadId), ['asking', 'thread'])
  for (const { lastWriteMs } of threads) t.ok(lastWriteMs >= before - 1 && lastWriteMs <= Date.now() + 1)
  t.match(await bench.agent.pending('asking'), { actions: [{ toolName: 'save_note', args: { text: 'milk' } }] })
  t.equal(await bench.agent.pending('thread'), undefined)
})

t.test('they go on: with turns, with the answer to their question, and each with a few checkpoints soon', async t => {
  const { dir } = await leaveOldFile(t)
  const bench = await AgentBench.open(t, dir)
  t.match((await bench.turn('what did I say first?')).at(-1), { text: /"first of all"/ })
  t.match((await bench.resume([{ type: 'approve' }], { threadId: 'asking' })).at(-1), { type: 'answer', text: /Saved the note: milk/ })
  for (const threadId of ['thread', 'asking']) await bench.turn('hello again', { threadId })
  t.equal((await bench.said()).length, 8)
  const db = new Database(join(dir, 'conversations.sqlite'), { readonly: true })
  t.equal(db.prepare('SELECT count(*) FROM checkpoints').pluck().get(), 0, 'the old rows went with the pruning')
  t.equal(db.prepare('SELECT count(*) FROM thread_checkpoints').pluck().get(), 4)
  db.close()
})

t.test('a message of an old checkpoint is written once by the next one, and once only', async t => {
  const path = join(makeFolder(t), 'old.sqlite')
  const old = new Database(path)
  const config = await putValues(new SqliteSaver(old), { messages: makeMessages(4) })
  old.close()
  const { saver, db } = openSaver(t, {}, path)
  const values = await readValues(saver)
  t.strictSame(values, { messages: makeMessages(4) })
  const messages: BaseMessage[] = Array.isArray(values?.messages) ? values.messages : []
  const next = await putValues(saver, { messages: [...messages, ...makeMessages(1, 4)] }, config)
  await putValues(saver, { messages: [...messages, ...makeMessages(2, 4)] }, next)
  t.equal(db.prepare('SELECT count(*) FROM thread_items').pluck().get(), 6)
  t.strictSame(await readValues(saver), { messages: makeMessages(6) })
  t.equal((await listTuples(saver.list(threadConfig()))).length, 3)
})

t.test('a thread is deleted in the old tables too', async t => {
  const { dir } = await leaveOldFile(t)
  const bench = await AgentBench.open(t, dir)
  await bench.agent.forget('thread')
  t.same(await bench.said(), [])
  t.same((await bench.agent.listThreads('', 9)).map(thread => thread.threadId), ['asking'])
  const db = new Database(join(dir, 'conversations.sqlite'), { readonly: true })
  for (const table of ['checkpoints', 'writes', 'thread_checkpoints']) t.same(db.prepare(`SELECT DISTINCT thread_id FROM ${table}`).pluck().all(), ['asking'])
  db.close()
})

t.test('taking over is done once, copies no conversation, and what an older version writes meanwhile is taken over next time', async t => {
  const { dir } = await leaveOldFile(t)
  const path = join(dir, 'conversations.sqlite')
  const open = async () => {
    const file = await ConversationFile.open({ path })
    await file.close()
  }
  const sizeBefore = statSync(path).size
  await open()
  t.ok(statSync(path).size - sizeBefore < 64 * 1024, `${statSync(path).size - sizeBefore} bytes more`)
  const countRows = () => {
    const db = new Database(path, { readonly: true })
    const count = db.prepare('SELECT count(*) FROM thread_checkpoints').pluck().get()
    db.close()
    return count
  }
  const rows = countRows()
  await open()
  t.equal(countRows(), rows)
  const older = new Database(path)
  await putValues(new SqliteSaver(older), { n: 1 }, threadConfig('older'))
  older.close()
  copyConversations(path, `${path}.copy`)
  copyFileSync(`${path}.copy`, path)
  const file = await ConversationFile.open({ path })
  t.after(() => file.close())
  t.same(await readValues(file.checkpointer, threadConfig('older')), { n: 1 })
})

t.test('an old checkpoint that cannot be read does not keep its thread from being deleted, nor the file from being opened', async t => {
  const { dir } = await leaveOldFile(t)
  const db = new Database(join(dir, 'conversations.sqlite'))
  db.exec("UPDATE checkpoints SET checkpoint = '{', checkpoint_id = 'no uuid ' || rowid WHERE thread_id = 'thread'")
  db.close()
  const bench = await AgentBench.open(t, dir)
  await t.rejects(bench.agent.history('thread'), { code: 'CONVERSATION_UNREADABLE' })
  t.same((await bench.agent.listThreads('', 9)).map(thread => thread.threadId), ['asking', 'thread'])
  await bench.agent.forget('thread')
  t.equal((await bench.said('asking')).length, 6)
})
