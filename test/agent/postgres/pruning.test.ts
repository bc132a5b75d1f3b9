import { uuid6, type CheckpointMetadata } from '@langchain/langgraph-checkpoint'
import t from 'tap'
import { idOf, listTuples, makeCheckpoint, makeMessages, METADATA, putValues, readValues, threadConfig } from '../../fixtures/checkpoints.ts'
import { PostgresBench } from '../../fixtures/postgres-conversations.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'

const bench = await PostgresBench.open(t, await PostgresServer.start(t))
const { conversations } = bench
const saver = conversations.checkpointer

t.beforeEach(async () => { await bench.clear() })

/** The ids of what is left of a thread, newest first; by namespace, or of all. */
async function listIds (namespace?: string): Promise<unknown[]> {
  const config = { configurable: { thread_id: 'thread', ...(namespace !== undefined && { checkpoint_ns: namespace }) } }
  return (await listTuples(saver.list(config))).map(tuple => idOf(tuple.config))
}

t.test('at once all goes but the newest of each namespace, its writes and its values', async t => {
  let config = threadConfig()
  let child = threadConfig('thread', 'child')
  for (let n = 1; n <= 3; n++) {
    config = await putValues(saver, { messages: makeMessages(n * 2), [`only_${n}`]: n }, config)
    await saver.putWrites(config, [['a', n]], 'task')
    child = await putValues(saver, { messages: makeMessages(n) }, child)
  }
  await putValues(saver, { n: 0 }, threadConfig('other'))
  await conversations.prune('thread', { isResting: true })
  t.same(await listIds(''), [idOf(config)])
  t.same(await listIds('child'), [idOf(child)], 'a subgraph with a memory of its own keeps it')
  t.same((await saver.getTuple(config))?.pendingWrites, [['task', 'a', 3]])
  t.strictSame(await readValues(saver, config), { messages: makeMessages(6), only_3: 3 })
  t.strictSame(await readValues(saver, child), { messages: makeMessages(3) })
  t.same(await readValues(saver, threadConfig('other')), { n: 0 })
  t.same(await bench.countRows(), { checkpoints: 3, checkpoint_blobs: 4, checkpoint_writes: 1, items: 0 })
  await conversations.prune('thread', { isResting: true })
  await conversations.prune('unknown', { isResting: true })
  t.equal((await bench.countRows()).checkpoints, 3)
  t.same(bench.log.lines, [])
})

t.test('a channel that is older than the newest checkpoint stays in it', async t => {
  const first = await putValues(saver, { a: 1, b: 1 })
  const next = { ...makeCheckpoint({ a: 1, b: 2 }), channel_versions: { a: 1, b: 2 } }
  const config = await saver.put(first, next, METADATA, { b: 2 })
  await conversations.prune('thread', { isResting: true })
  t.same(await readValues(saver, config), { a: 1, b: 2 })
  t.same(await bench.countRows(), { checkpoints: 1, checkpoint_blobs: 2, checkpoint_writes: 0, items: 0 })
})

t.test('runs of subgraphs go when the thread rests, and stay while a question waits in them', async t => {
  for (const isResting of [true, false]) {
    await bench.clear()
    for (const namespace of ['', 'node:run', 'node:run|inner', 'memory', '']) {
      for (let n = 0; n < 2; n++) await putValues(saver, { n }, threadConfig('thread', namespace))
    }
    await conversations.prune('thread', { isResting })
    t.equal((await listIds('')).length, 1)
    for (const namespace of ['node:run', 'node:run|inner']) t.equal((await listIds(namespace)).length, isResting ? 0 : 1, namespace)
    t.equal((await listIds('memory')).length, 1)
    t.equal((await bench.countRows()).checkpoint_blobs, isResting ? 2 : 4)
  }
})

t.test('by the order of the puts: a checkpoint whose clock was behind is the one that stays', async t => {
  const [older, newer] = [uuid6(0), uuid6(0)].sort()
  await putValues(saver, { a: 1 }, threadConfig(), newer)
  const config = await putValues(saver, { b: 2 }, threadConfig(), older)
  await conversations.prune('thread', { isResting: true })
  t.same(await listIds(''), [idOf(config)])
  t.same(await readValues(saver), { b: 2 })
})

t.test('a checkpoint that holds changes alone keeps its parents', async t => {
  const counting: CheckpointMetadata = { ...METADATA, counters_since_delta_snapshot: { messages: [1, 1] } }
  let config = await putValues(saver, { messages: [1] })
  await saver.putWrites(config, [['messages', [2]]], 'task')
  config = await putValues(saver, {}, config, uuid6(0), counting)
  await conversations.prune('thread', { isResting: true })
  const { messages } = await saver.getDeltaChannelHistory({ config, channels: ['messages'] })
  t.same(messages, { seed: [1], writes: [['task', 'messages', [2]]] })
})

t.test('a thread that cannot be pruned stays as it is, and the log says so', async t => {
  const first = await putValues(saver, { n: 1 })
  await putValues(saver, { n: 2 }, first)
  await bench.pool.query("UPDATE holdline.checkpoints SET metadata = metadata || '{\"counters_since_delta_snapshot\": []}'")
  await conversations.prune('thread', { isResting: true })
  t.match(bench.log.lines, [/^error: A conversation keeps what it needs no more/])
  t.equal((await bench.countRows()).checkpoints, 2)
})

t.end()
