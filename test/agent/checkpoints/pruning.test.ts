import { uuid6, type CheckpointMetadata } from '@langchain/langgraph-checkpoint'
import t from 'tap'
import { ThreadSaver } from '../../../src/agent/checkpoints/saver.ts'
import { AgentBench } from '../../fixtures/agent.ts'
import { idOf, listTuples, makeMessages, METADATA, openSaver, putValues, readValues, threadConfig } from '../../fixtures/checkpoints.ts'

/** The ids of what is left of a thread, newest first; by namespace, or of all. */
async function listIds (saver: ThreadSaver, namespace?: string): Promise<unknown[]> {
  const config = { configurable: { thread_id: 'thread', ...(namespace !== undefined && { checkpoint_ns: namespace }) } }
  return (await listTuples(saver.list(config))).map(tuple => idOf(tuple.config))
}

t.test('with the next checkpoint all goes but the newest of each namespace, and its writes; nothing goes before', async t => {
  const { saver, db } = openSaver(t)
  let config = threadConfig()
  let child = threadConfig('thread', 'child')
  for (let n = 1; n <= 3; n++) {
    config = await putValues(saver, { messages: makeMessages(n * 2) }, config)
    await saver.putWrites(config, [['a', n]], 'task')
    child = await putValues(saver, { messages: makeMessages(n) }, child)
  }
  await putValues(saver, { n: 0 }, threadConfig('other'))
  saver.prune('thread', { isResting: true })
  t.equal((await listIds(saver)).length, 6)
  const next = await putValues(saver, { messages: makeMessages(8) }, config)
  t.same(await listIds(saver, ''), [idOf(next), idOf(config)])
  t.same(await listIds(saver, 'child'), [idOf(child)], 'a subgraph with a memory of its own keeps it')
  t.same((await saver.getTuple(config))?.pendingWrites, [['task', 'a', 3]])
  t.strictSame(await readValues(saver, config), { messages: makeMessages(6) })
  t.strictSame(await readValues(saver, child), { messages: makeMessages(3) })
  t.equal(db.prepare('SELECT count(*) FROM writes').pluck().get(), 1)
  t.same(await readValues(saver, threadConfig('other')), { n: 0 })
  await putValues(saver, {}, next)
  t.equal((await listIds(saver, '')).length, 3, 'once asked for, it is done once')
})

t.test('runs of subgraphs go when the thread rests, and stay while a question waits in them', async t => {
  for (const isResting of [true, false]) {
    const { saver } = openSaver(t)
    for (const namespace of ['', 'node:run', 'node:run|inner', 'memory', '']) {
      for (let n = 0; n < 2; n++) await putValues(saver, { n }, threadConfig('thread', namespace))
    }
    saver.prune('thread', { isResting })
    await putValues(saver, {}, threadConfig('thread', 'node:next'))
    const left = (await listTuples(saver.list(threadConfig('thread', ''), {}))).length
    t.equal(left, 1)
    for (const namespace of ['node:run', 'node:run|inner']) t.equal((await listIds(saver, namespace)).length, isResting ? 0 : 1, namespace)
    t.equal((await listIds(saver, 'memory')).length, 1)
    t.equal((await listIds(saver, 'node:next')).length, 1, 'the run that is under way stays')
  }
})

t.test('by the order of the puts: a checkpoint whose clock was behind is the one that stays', async t => {
  const { saver } = openSaver(t)
  const [older, newer] = [uuid6(0), uuid6(0)].sort()
  await putValues(saver, { n: 1 }, threadConfig(), newer)
  const config = await putValues(saver, { n: 2 }, threadConfig(), older)
  saver.prune('thread', { isResting: true })
  await putValues(saver, {}, threadConfig('thread', 'else'))
  t.same(await listIds(saver, ''), [idOf(config)])
  t.same(await readValues(saver), { n: 2 })
})

t.test('what is put after the request stays, a turn that then fails included', async t => {
  const { saver } = openSaver(t)
  const first = await putValues(saver, { n: 1 })
  const resting = await putValues(saver, { n: 2 }, first)
  saver.prune('thread', { isResting: true })
  const attempts = [await putValues(saver, { n: 3 }, resting), await putValues(saver, { n: 4 }, resting)]
  t.same(await listIds(saver), [...attempts.map(idOf).reverse(), idOf(resting)])
})

t.test('items go with the last checkpoint that needs them, and their numbers mean something new then', async t => {
  const { saver, db } = openSaver(t)
  const items = db.prepare('SELECT number FROM thread_items').pluck()
  let config = await putValues(saver, { messages: makeMessages(4) })
  await readValues(saver)
  const rest = await readValues(saver)
  const messages = Array.isArray(rest?.messages) ? rest.messages.slice(0, 2) : []
  config = await putValues(saver, { messages }, config)
  saver.prune('thread', { isResting: true })
  config = await putValues(saver, { messages }, config)
  t.same(items.all(), [1, 2])
  await putValues(saver, { messages: [...messages, ...makeMessages(2, 50)] }, config)
  t.strictSame(await readValues(saver), { messages: [...makeMessages(2), ...makeMessages(2, 50)] })
  t.same(items.all(), [1, 2, 3, 4])
})

t.test('a put beside another one that is under way prunes nothing: the other may need it', async t => {
  const { saver } = openSaver(t)
  const child = threadConfig('thread', 'node:run')
  await putValues(saver, { messages: makeMessages(2) }, child)
  const messages = (await readValues(saver, child))?.messages
  saver.prune('thread', { isResting: true })
  await Promise.all([putValues(saver, { n: 1 }), putValues(saver, { messages }, threadConfig('thread', 'child'))])
  t.strictSame(await readValues(saver, threadConfig('thread', 'child')), { messages: makeMessages(2) })
  await putValues(saver, { n: 2 })
  t.equal((await listIds(saver, 'node:run')).length, 0, 'it is done by the first that is alone')
})

t.test('a checkpoint that holds changes alone keeps its parents', async t => {
  const { saver } = openSaver(t)
  const counting: CheckpointMetadata = { ...METADATA, counters_since_delta_snapshot: { messages: [1, 1] } }
  let config = await putValues(saver, { messages: [1] })
  await saver.putWrites(config, [['messages', [2]]], 'task')
  config = await putValues(saver, {}, config, uuid6(0), counting)
  saver.prune('thread', { isResting: true })
  config = await putValues(saver, {}, config, uuid6(0), counting)
  const { messages } = await saver.getDeltaChannelHistory({ config, channels: ['messages'] })
  t.same(messages, { seed: [1], writes: [['task', 'messages', [2]]] })
})

t.test('a thread that cannot be pruned takes its checkpoint all the same', async t => {
  const { saver, db } = openSaver(t)
  const first = await putValues(saver, { n: 1 })
  const second = await putValues(saver, { n: 2 }, first)
  db.prepare("UPDATE thread_checkpoints SET lists = '{' WHERE checkpoint_id = ?").run(idOf(first))
  saver.prune('thread', { isResting: true })
  await putValues(saver, { n: 3 }, second)
  t.same(await readValues(saver), { n: 3 })
  t.equal(db.prepare('SELECT count(*) FROM thread_checkpoints').pluck().get(), 3)
  await saver.deleteThread('thread')
  t.equal(db.prepare('SELECT count(*) FROM thread_checkpoints').pluck().get(), 0)
})

t.test('a transaction that does not come to its end has pruned nothing', async t => {
  const { saver, db } = openSaver(t)
  const first = await putValues(saver, { messages: makeMessages(2) })
  const second = await putValues(saver, { messages: makeMessages(4) }, first)
  saver.prune('thread', { isResting: true })
  db.exec("CREATE TRIGGER fail BEFORE DELETE ON thread_checkpoints BEGIN SELECT RAISE(ROLLBACK, 'power cut'); END")
  await t.rejects(putValues(saver, { messages: makeMessages(6) }, second), /power cut/)
  db.exec('DROP TRIGGER fail')
  t.same(await listIds(saver), [idOf(second), idOf(first)])
  t.strictSame(await readValues(saver), { messages: makeMessages(4) })
  t.strictSame(await readValues(saver, first), { messages: makeMessages(2) })
})

t.test('the agent\'s threads hold few checkpoints after any number of turns, questions and failures included', async t => {
  const bench = await AgentBench.open(t)
  const { checkpointer } = bench.file
  const count = async () => (await listTuples(checkpointer.list({ configurable: { thread_id: 'thread' } }))).length
  for (let n = 0; n < 10; n++) {
    await bench.turn('hello')
    await bench.turn('note: milk')
    await bench.resume([{ type: n % 2 === 0 ? 'approve' : 'reject' }])
    bench.model.hook = () => { throw new Error('model down') }
    await t.rejects(bench.turn('lost'))
    bench.model.hook = () => {}
    t.ok(await count() <= 8, `${await count()} checkpoints`)
  }
  t.equal((await bench.said()).filter(line => line === 'user: hello').length, 10)
  t.match((await bench.turn('notes')).at(-1), { text: /^Your notes:\n1\. milk\n2\. milk\n3\. milk\n4\. milk\n5\. milk/ })
})
