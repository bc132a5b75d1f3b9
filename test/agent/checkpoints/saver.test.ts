import { join } from 'node:path'
import { AIMessage, HumanMessage, type BaseMessage } from '@langchain/core/messages'
import { JsonPlusSerializer, uuid6 } from '@langchain/langgraph-checkpoint'
import fc from 'fast-check'
import t from 'tap'
import { ConversationFile } from '../../../src/agent/checkpointer.ts'
import { ThreadSaver } from '../../../src/agent/checkpoints/saver.ts'
import { idAt, idOf, listTuples, makeCheckpoint, makeMessages, METADATA, openSaver, putValues, readValues, threadConfig } from '../../fixtures/checkpoints.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { applyChange, CHANGE_KINDS } from '../../fixtures/list-changes.ts'

t.test('the newest checkpoint is the one put last, also after the clock stepped back, and after the file was opened again', async t => {
  const path = join(makeFolder(t), 'conversations.sqlite')
  let nowMs = 5000
  const file = await ConversationFile.open({ path, now: () => nowMs })
  let config = threadConfig()
  const ids: string[] = []
  for (const ms of [5000, 4000, 6000, 1000]) {
    nowMs = ms
    ids.push(idAt(ms))
    config = await putValues(file.checkpointer, { at: ms }, config, idAt(ms))
  }
  const check = async ({ checkpointer, listThreads }: ConversationFile) => {
    t.same(await readValues(checkpointer), { at: 1000 })
    const listed = await listTuples(checkpointer.list(threadConfig()))
    t.same(listed.map(tuple => tuple.checkpoint.channel_values.at), [1000, 6000, 4000, 5000])
    t.same(listed.map(tuple => idOf(tuple.parentConfig)), [ids[2], ids[1], ids[0], undefined])
    const before = await listTuples(checkpointer.list(threadConfig(), { before: threadConfig('thread', '', ids[2]) }))
    t.same(before.map(tuple => tuple.checkpoint.channel_values.at), [4000, 5000])
    t.same((await listTuples(checkpointer.list(threadConfig(), { limit: 1, before: threadConfig('thread', '', ids[3]) })))
      .map(tuple => tuple.checkpoint.channel_values.at), [6000])
    return listThreads
  }
  await check(file)
  t.same(await file.listThreads('', 9), [{ threadId: 'thread', lastWriteMs: 1000 }], 'the time is that of the last write, by our clock')
  await file.close()
  const again = await ConversationFile.open({ path })
  t.after(() => again.close())
  await check(again)
  await putValues(again.checkpointer, { at: 500 }, config, idAt(500))
  t.same(await readValues(again.checkpointer), { at: 500 })
})

t.test('one that is put again keeps its place, with what it was given last', async t => {
  const { saver } = openSaver(t)
  const first = uuid6(0)
  const config = await putValues(saver, { messages: makeMessages(2) }, threadConfig(), first)
  const second = await putValues(saver, { messages: makeMessages(4) }, config)
  await putValues(saver, { messages: makeMessages(1) }, threadConfig(), first)
  t.equal(idOf((await saver.getTuple(threadConfig()))?.config), idOf(second))
  t.strictSame(await readValues(saver, config), { messages: makeMessages(1) })
})

t.test('what is kept is the state at the put: messages that are changed in place are kept as they are then, and as they were before', async t => {
  const { saver } = openSaver(t)
  await putValues(saver, { messages: makeMessages(4) })
  const [, answer, ...rest] = await readMessagesOf(saver)
  const before = structuredClone(JSON.parse(JSON.stringify(await readMessagesOf(saver))))
  if (!AIMessage.isInstance(answer)) throw new Error('An answer')
  const parent = await saver.getTuple(threadConfig())
  answer.tool_calls?.[0]?.args.deep.text.push('changed')
  answer.additional_kwargs.seen = true
  const put = putValues(saver, { messages: [answer, ...rest] }, parent?.config)
  answer.content = 'too late: this is after the put'
  await put
  const [read] = await readMessagesOf(saver)
  t.match(read, { content: 'answer 1', additional_kwargs: { seen: true }, tool_calls: [{ args: { deep: { text: ['1', 'changed'] } } }] })
  t.same(JSON.parse(JSON.stringify(await readMessagesOf(saver, parent?.config))), before)
})

t.test('what was handed out, and what was put, may be changed without a trace, at any depth', async t => {
  const { saver } = openSaver(t)
  const own = makeMessages(4)
  await putValues(saver, { messages: own, notes: { a: [1] } })
  const expected = JSON.stringify(await readValues(saver))
  for (let round = 0; round < 2; round++) {
    const tuple = await saver.getTuple(threadConfig())
    const values = tuple?.checkpoint.channel_values
    for (const messages of [own, values?.messages]) {
      if (!Array.isArray(messages)) throw new Error('No messages')
      const [first, second]: unknown[] = messages
      Object.assign(first ?? {}, { content: 'spoiled' })
      if (AIMessage.isInstance(second)) second.tool_calls?.[0]?.args.deep.text.push('spoiled')
      messages.splice(1, 1)
    }
    Object.assign(values?.notes ?? {}, { a: 'spoiled' })
    Object.assign(tuple?.metadata ?? {}, { source: 'spoiled' })
    t.equal(JSON.stringify(await readValues(saver)), expected)
    t.same((await saver.getTuple(threadConfig()))?.metadata, METADATA)
  }
})

t.test('any lists, after any changes of a run, are what LangGraph\'s own serializer makes of them, with and without the memory', async t => {
  const plain = new JsonPlusSerializer()
  const change = fc.record({ kind: fc.constantFrom(...CHANGE_KINDS), at: fc.nat(8), text: fc.string() })
  await fc.assert(fc.asyncProperty(fc.array(change, { maxLength: 25 }), fc.boolean(), fc.boolean(), async (changes, isRemembering, isRevived) => {
    const { saver, db } = openSaver(t, isRemembering ? {} : { memory: { maxBytes: 0, maxThreads: 0 } })
    let config = threadConfig()
    let list: unknown[] = []
    const kept: Array<[typeof config, unknown]> = []
    for (const { kind, at, text } of changes) {
      list = applyChange(list, kind, at, text)
      config = await putValues(saver, { list, other: list.slice(0, 2) }, config)
      const expected: unknown = await plain.loadsTyped(...await plain.dumpsTyped({ list, other: list.slice(0, 2) }))
      t.strictSame(await readValues(saver), expected)
      kept.push([config, expected])
      const read = (await readValues(saver))?.list
      if (isRevived && Array.isArray(read)) list = read
    }
    for (const [place, expected] of kept) t.strictSame(await readValues(saver, place), expected)
    const listed = (await listTuples(saver.list(threadConfig()))).map(tuple => tuple.checkpoint.channel_values)
    t.strictSame(listed, kept.map(([, values]) => values).reverse())
    db.close()
  }), { numRuns: 60 })
})

t.test('what stands in a list twice is two objects', async t => {
  const { saver, db } = openSaver(t)
  const [question] = makeMessages(1)
  await putValues(saver, { messages: [question, question], other: [question] })
  t.equal(db.prepare('SELECT count(*) FROM thread_items').pluck().get(), 1)
  for (let round = 0; round < 2; round++) {
    const values = await readValues(saver)
    const objects = [values?.messages, values?.other].flat()
    t.equal(new Set(objects).size, 3)
    t.strictSame(objects, [question, question, question])
  }
})

t.test('each message is written once, however long the conversation and however often it is put', async t => {
  const { saver, db } = openSaver(t)
  const countItems = db.prepare('SELECT count(*) FROM thread_items').pluck()
  let config = threadConfig()
  for (let turn = 0; turn < 20; turn++) {
    const messages = turn === 0 ? [] : await readMessagesOf(saver)
    for (let step = 1; step <= 2; step++) {
      messages.push(...makeMessages(1, turn * 2 + step - 1))
      config = await putValues(saver, { messages }, config)
    }
    t.equal(countItems.get(), (turn + 1) * 2)
  }
  const cold = new ThreadSaver(db)
  const messages = await readMessagesOf(cold)
  await putValues(new ThreadSaver(db), { messages: [...messages, ...makeMessages(1, 40)] }, config)
  t.equal(countItems.get(), 41, 'neither again by a saver that remembers nothing')
  t.same(db.prepare('SELECT lists FROM thread_checkpoints ORDER BY seq DESC LIMIT 1').pluck().get(), '{"messages":[[1,41]]}')
})

const SPOILS = [
  "thread_checkpoints SET body = '{'", "thread_checkpoints SET lists = '{'", 'thread_checkpoints SET lists = \'{"a":1}\'', "thread_items SET value = '{'",
  'thread_items SET number = 9 WHERE number = 1', "writes SET value = '{'"
]

t.test('a thread whose rows are spoiled can be deleted, and harms no other', async t => {
  for (const spoil of SPOILS) {
    const { saver, db } = openSaver(t)
    const config = await putValues(saver, { messages: makeMessages(2) })
    await saver.putWrites(config, [['a', 1]], 'task')
    db.exec(`UPDATE ${spoil}`)
    await putValues(saver, { messages: makeMessages(2) }, threadConfig('other'))
    await t.rejects(saver.getTuple(threadConfig()), spoil)
    t.strictSame(await readValues(saver, threadConfig('other')), { messages: makeMessages(2) })
    await saver.deleteThread('thread')
    t.equal(await saver.getTuple(threadConfig()), undefined)
    t.strictSame(await readValues(saver, threadConfig('other')), { messages: makeMessages(2) })
    await putValues(saver, { messages: makeMessages(3) })
    t.strictSame(await readValues(saver), { messages: makeMessages(3) })
  }
})

t.test('a thread that is deleted and begins anew holds nothing of the old one, nor does what was under way', async t => {
  const { saver, db } = openSaver(t)
  await putValues(saver, { messages: makeMessages(3) })
  await readValues(saver)
  const reading = readValues(saver)
  const putting = putValues(saver, { messages: makeMessages(5) })
  await saver.deleteThread('thread')
  await Promise.all([reading, putting])
  t.equal(await readValues(saver), undefined, 'the put came first')
  for (const table of ['thread_checkpoints', 'thread_items', 'writes']) t.equal(db.prepare(`SELECT count(*) FROM ${table}`).pluck().get(), 0)
  await putValues(saver, { messages: makeMessages(2, 10) })
  t.strictSame(await readValues(saver), { messages: makeMessages(2, 10) })
})

t.test('a put that the disk refuses leaves the thread as it was', async t => {
  const { saver, db } = openSaver(t)
  const config = await putValues(saver, { messages: makeMessages(2) })
  const messages = [...await readMessagesOf(saver), ...makeMessages(2, 2)]
  db.pragma(`max_page_count = ${String(db.pragma('page_count', { simple: true }))}`)
  await t.rejects(putValues(saver, { messages: [...messages, new HumanMessage('x'.repeat(100_000))] }, config), { code: 'SQLITE_FULL' })
  t.strictSame(await readValues(saver), { messages: makeMessages(2) })
  db.pragma('max_page_count = 1000000')
  await putValues(saver, { messages }, config)
  t.strictSame(await readValues(saver), { messages: makeMessages(4) })
})

t.test('the memory is bounded, by threads and by bytes; a message of a megabyte is a message', async t => {
  const { saver } = openSaver(t, { memory: { maxThreads: 3, maxBytes: 8_000_000 } })
  const big = [new HumanMessage({ id: 'b', content: 'é'.repeat(1024 * 1024) })]
  for (const threadId of ['a', 'b', 'c', 'd']) await putValues(saver, { messages: makeMessages(2) }, threadConfig(threadId))
  for (const threadId of ['big', 'bigger']) await putValues(saver, { messages: big }, threadConfig(threadId))
  const readFirst = async (threadId: string) => (await readMessagesOf(saver, threadConfig(threadId)))[0]
  /** Whether `first` is still remembered once these threads were read. */
  const isKept = async (first: string, ...others: string[]) => {
    const before = await readFirst(first)
    for (const threadId of others) await readFirst(threadId)
    return await readFirst(first) === before
  }
  t.same(await readFirst('big'), big[0])
  t.ok(await isKept('a', 'b', 'c'))
  t.notOk(await isKept('a', 'b', 'c', 'd'), 'too many threads')
  t.ok(await isKept('a', 'big'))
  t.notOk(await isKept('a', 'big', 'bigger'), 'too many bytes')
})

t.test('a checkpoint is kept whole: what it has beside its values too', async t => {
  const { saver } = openSaver(t)
  const checkpoint = { ...makeCheckpoint({ messages: makeMessages(2), empty: [], text: 'a', chunks: [new Uint8Array([1])] }), versions_seen: { node: { a: 3 } } }
  const metadata = { ...METADATA, source: 'update' as const, step: 7, mine: { a: [1] } }
  await saver.put(threadConfig(), checkpoint, metadata, checkpoint.channel_versions)
  await saver.putWrites(threadConfig('thread', '', checkpoint.id), [['bytes', new Uint8Array([7, 255])], ['list', makeMessages(1)]], 'task')
  const tuple = await saver.getTuple(threadConfig())
  t.strictSame(tuple?.checkpoint, checkpoint)
  t.strictSame(tuple?.metadata, metadata)
  t.strictSame(tuple?.pendingWrites, [['task', 'bytes', new Uint8Array([7, 255])], ['task', 'list', makeMessages(1)]])
})

async function readMessagesOf (saver: ThreadSaver, config = threadConfig()): Promise<BaseMessage[]> {
  const messages = (await readValues(saver, config))?.messages
  return Array.isArray(messages) ? messages : []
}
