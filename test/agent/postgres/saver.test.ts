import { uuid6 } from '@langchain/langgraph-checkpoint'
import { MessagesAnnotation, StateGraph } from '@langchain/langgraph'
import { AIMessage } from '@langchain/core/messages'
import t from 'tap'
import { makeTables } from '../../../src/agent/postgres/schema.ts'
import { orderAsWritten } from '../../../src/agent/postgres/reads.ts'
import { runUnderLease } from '../../../src/turn-lease.ts'
import { idOf, listTuples, makeCheckpoint, makeMessages, METADATA, putValues, readValues, threadConfig } from '../../fixtures/checkpoints.ts'
import { PostgresBench } from '../../fixtures/postgres-conversations.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'

const server = await PostgresServer.start(t)
const bench = await PostgresBench.open(t, server)
const saver = bench.conversations.checkpointer

t.beforeEach(async () => { await bench.clear() })

/** An id as a machine makes it whose clock is so far ahead. */
function makeId (aheadMs: number): string {
  const { now } = Date
  Date.now = () => now() + aheadMs
  try {
    return uuid6(0)
  } finally {
    Date.now = now
  }
}

t.test('the newest checkpoint is the one that was written last, by whichever clock', async t => {
  const ahead = await putValues(saver, { a: 1 }, threadConfig(), makeId(600_000))
  const right = await putValues(saver, { b: 2 }, ahead, makeId(0))
  t.ok(String(idOf(right)) < String(idOf(ahead)))
  t.same(await readValues(saver), { b: 2 })
  t.same((await listTuples(saver.list(threadConfig()))).map(({ config }) => idOf(config)), [idOf(right), idOf(ahead)])
  t.same((await listTuples(saver.list(threadConfig(), { before: right }))).map(({ config }) => idOf(config)), [idOf(ahead)])
  t.same((await listTuples(saver.list(threadConfig(), { before: ahead }))).map(({ config }) => idOf(config)), [])
  t.same((await listTuples(saver.list(threadConfig(), { limit: 1 }))).map(({ config }) => idOf(config)), [idOf(right)])
  await putValues(saver, { a: 3 }, threadConfig(), String(idOf(ahead)))
  t.same(await readValues(saver), { b: 2 }, 'one that is put again keeps its place')
  t.same(await readValues(saver, ahead), { a: 3 })
})

t.test('a graph that goes back to an earlier checkpoint has the values of both ways', async t => {
  const graph = new StateGraph(MessagesAnnotation)
    .addNode('answer', state => ({ messages: [new AIMessage(`to ${state.messages.at(-1)?.text}`)] }))
    .addEdge('__start__', 'answer').compile({ checkpointer: saver })
  const said = async (config: Parameters<typeof graph.getState>[0]) =>
    (await graph.getState(config)).values.messages.map(({ text }: AIMessage) => text)
  const thread = { configurable: { thread_id: 'thread' } }
  await graph.invoke({ messages: ['one'] }, thread)
  const { config: before } = await graph.getState(thread)
  await graph.invoke({ messages: ['two'] }, thread)
  const { config: first } = await graph.getState(thread)
  await graph.invoke({ messages: ['three'] }, before)
  t.same(await said(thread), ['one', 'to one', 'three', 'to three'])
  t.same(await said(first), ['one', 'to one', 'two', 'to two'])
})

t.test('what was put is what was there at the call', async t => {
  const messages = makeMessages(2)
  const checkpoint = makeCheckpoint({ messages, n: { a: 1 } })
  const metadata = { ...METADATA }
  const put = saver.put(threadConfig(), checkpoint, metadata, checkpoint.channel_versions)
  messages.pop()
  Reflect.set(metadata, 'step', 7)
  checkpoint.channel_versions.messages = 9
  const config = await put
  t.strictSame(await readValues(saver), { messages: makeMessages(2), n: { a: 1 } })
  t.same((await saver.getTuple(config))?.metadata, METADATA)
})

t.test('what Postgres cannot keep as JSON is no reason to lose a turn', async t => {
  const metadata = { ...METADATA, user_name: 'a\u0000b\ud800c\\u0000', lc: 1 }
  const checkpoint = makeCheckpoint({ text: 'a\u0000b\ud800', lc: { lc: 1, type: 'constructor', id: ['x'] } })
  await saver.put(threadConfig(), checkpoint, metadata, checkpoint.channel_versions)
  const tuple = await saver.getTuple(threadConfig())
  t.same(tuple?.checkpoint.channel_values, { text: 'a\u0000b\ud800', lc: { lc: 1, type: 'constructor', id: ['x'] } })
  t.same(tuple?.metadata, { ...METADATA, user_name: 'a\ufffdb\ufffdc\\u0000', lc: 1 })
})

t.test('a task that ended with nothing to write after its answer is marked as ended', async t => {
  const config = await putValues(saver, { n: 1 })
  await saver.putWrites(config, [['__resume__', 'yes']], 'task-1')
  await saver.putWrites(config, [['__resume__', 'no']], '00000000-0000-0000-0000-000000000000')
  t.same((await saver.getTuple(config))?.pendingWrites?.map(([task, channel]) => `${task.slice(0, 6)} ${channel}`).sort(), [
    '000000 __resume__', 'task-1 __no_writes__', 'task-1 __resume__'
  ])
})

t.test('writes for one place: the last of those that replace counts, the first of the others', async t => {
  const config = await putValues(saver, { n: 1 })
  await saver.putWrites(config, [['__interrupt__', 1], ['__interrupt__', 2]], 'task')
  await saver.putWrites(config, [['__interrupt__', 3]], 'task')
  await saver.putWrites(config, [['a', 1]], 'other')
  await saver.putWrites(config, [['a', 2]], 'other')
  await saver.putWrites(config, [], 'none')
  t.same((await saver.getTuple(config))?.pendingWrites, [['other', 'a', 1], ['task', '__interrupt__', 3]])
})

t.test('whoever lost the lease writes nothing and removes nothing', async t => {
  const lease = await bench.takeLease()
  const config = await runUnderLease(lease, async () => {
    const first = await putValues(saver, { n: 1 })
    const config = await putValues(saver, { n: 2 }, first)
    await saver.putWrites(config, [['a', 1]], 'task')
    return config
  })
  const rows = await bench.countRows()
  await lease.lose()
  const late = [
    async () => { await putValues(saver, { n: 3 }, config) },
    async () => { await putValues(saver, {}, config) },
    async () => { await saver.putWrites(config, [['a', 2]], 'another task') },
    async () => { await saver.putWrites(config, [['__interrupt__', 2]], 'another task') },
    async () => { await saver.deleteThread('thread') },
    async () => { await saver.deleteThread('unknown') }
  ]
  for (const write of late) await t.rejects(runUnderLease(lease, write), { code: 'TURN_TAKEN_OVER', retryAfterSeconds: 5 })
  await runUnderLease(lease, async () => { await bench.conversations.prune('thread', { isResting: true }) })
  t.same(await bench.countRows(), rows)
  t.same(await readValues(saver), { n: 2 })
  t.same(bench.log.lines, [])
})

t.test('a write under a good lease makes the successor wait for its end', async t => {
  const lease = await bench.takeLease()
  await bench.pool.transaction(async client => {
    await client.query('SELECT holdline.check_lease($1)', [lease.id])
    await t.rejects(bench.pool.query('SELECT FROM holdline.turns WHERE lease = $1 FOR UPDATE NOWAIT', [lease.id]), { code: '55P03' })
  })
})

t.test('the tables are made by any number of processes at once, and as often as may be', async t => {
  const pools = await Promise.all(Array.from({ length: 5 }, async () => await PostgresBench.open(t, server, bench.url)))
  await Promise.all(pools.map(async ({ pool }) => { await makeTables(pool) }))
  const config = await putValues(saver, { n: 1 })
  t.same(await readValues(saver, config), { n: 1 })
})

t.test('a version of the library that reads in another way is found out', async t => {
  for (const text of ['SELECT 1', 'select order by cw.task_id, cw.idx from checkpoints ORDER BY cp.checkpoint_id DESC', 'select x ORDER BY checkpoint_id DESC']) {
    t.throws(() => orderAsWritten(text), /reads in another way/, text)
  }
})

t.test('a checkpoint that cannot be read harms no other thread, and can be forgotten', async t => {
  await putValues(saver, { n: 1 })
  await putValues(saver, { n: 2 }, threadConfig('other'))
  await bench.pool.query("UPDATE holdline.checkpoint_blobs SET blob = '{' WHERE thread_id = 'thread'")
  await t.rejects(saver.getTuple(threadConfig()), SyntaxError)
  t.same(await readValues(saver, threadConfig('other')), { n: 2 })
  await saver.deleteThread('thread')
  t.equal(await saver.getTuple(threadConfig()), undefined)
})

t.end()
