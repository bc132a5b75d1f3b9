import { uuid6, type CheckpointMetadata } from '@langchain/langgraph-checkpoint'
import t from 'tap'
import type { RedisSaver } from '../../../src/agent/redis/saver.ts'
import { idOf, listTuples, makeMessages, METADATA, putValues, readValues, threadConfig } from '../../fixtures/checkpoints.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { makeSaver, openRedisSaver } from '../../fixtures/redis-conversations.ts'

/** The ids of what is left of a thread, newest first; by namespace, or of all. */
async function listIds (saver: RedisSaver, namespace?: string): Promise<unknown[]> {
  const config = { configurable: { thread_id: 'thread', ...(namespace !== undefined && { checkpoint_ns: namespace }) } }
  return (await listTuples(saver.list(config))).map(tuple => idOf(tuple.config))
}

t.test('pruning in Redis', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)

  t.test('with the next checkpoint all goes but the newest of each namespace, and its writes; nothing goes before', async t => {
    const { saver, client } = await openRedisSaver(t, server)
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
    t.equal(await client.hlen('{holdline}:thread-writes:thread'), 1)
    t.equal(await client.hlen('{holdline}:thread:thread'), 3 * 4 + 1, 'four fields a checkpoint, and when it was written to')
    t.same(await readValues(saver, threadConfig('other')), { n: 0 })
    await putValues(saver, {}, next)
    t.equal((await listIds(saver, '')).length, 3, 'once asked for, it is done once')
  })

  t.test('runs of subgraphs go when the thread rests, and stay while a question waits in them', async t => {
    for (const isResting of [true, false]) {
      const { saver } = await openRedisSaver(t, server)
      for (const namespace of ['', 'node:run', 'node:run|inner', 'memory', '']) {
        for (let n = 0; n < 2; n++) await putValues(saver, { n }, threadConfig('thread', namespace))
      }
      saver.prune('thread', { isResting })
      await putValues(saver, {}, threadConfig('thread', 'node:next'))
      t.equal((await listIds(saver, '')).length, 1)
      for (const namespace of ['node:run', 'node:run|inner']) t.equal((await listIds(saver, namespace)).length, isResting ? 0 : 1, namespace)
      t.equal((await listIds(saver, 'memory')).length, 1)
      t.equal((await listIds(saver, 'node:next')).length, 1, 'the run that is under way stays')
    }
  })

  t.test('what another replica put after the request stays, a question within a subgraph included', async t => {
    const { saver, connection } = await openRedisSaver(t, server)
    const other = makeSaver(connection)
    const first = await putValues(saver, { n: 1 })
    const resting = await putValues(saver, { n: 2 }, first)
    saver.prune('thread', { isResting: true })
    const attempts = [await putValues(other, { n: 3 }, resting), await putValues(other, { n: 4 }, resting)]
    const question = await putValues(other, { asked: true }, threadConfig('thread', 'node:run'))
    const next = await putValues(saver, { n: 5 }, resting)
    t.same(await listIds(saver), [idOf(next), idOf(question), ...attempts.map(idOf).reverse(), idOf(resting)])
  })

  t.test('a connection that was lost takes the numbers along: a server that lost its last writes gives them again', async t => {
    const { saver, client } = await openRedisSaver(t, server)
    let config = await putValues(saver, { n: 1 })
    config = await putValues(saver, { n: 2 }, config)
    saver.prune('thread', { isResting: true })
    saver.forgetNumbers()
    await putValues(saver, { n: 3 }, config)
    t.equal(await client.zcard('{holdline}:thread-order:thread'), 3)
  })

  t.test('items go with the last checkpoint that needs them', async t => {
    const { saver, connection, client } = await openRedisSaver(t, server)
    const countItems = async () => await client.hlen('{holdline}:thread-items:thread')
    let config = await putValues(saver, { messages: makeMessages(4), other: makeMessages(1, 3) })
    config = await putValues(saver, { messages: [...makeMessages(1), ...makeMessages(1, 2)], other: makeMessages(1, 3) }, config)
    t.equal(await countItems(), 4)
    saver.prune('thread', { isResting: true })
    config = await putValues(saver, { messages: makeMessages(1) }, config)
    t.equal(await countItems(), 3, 'one is of no checkpoint any more')
    saver.prune('thread', { isResting: true })
    config = await putValues(saver, { messages: [...makeMessages(1), ...makeMessages(2, 50)] }, config)
    saver.prune('thread', { isResting: true })
    await putValues(saver, { messages: [...makeMessages(1), ...makeMessages(2, 50)] }, config)
    t.equal(await countItems(), 3)
    t.strictSame(await readValues(makeSaver(connection)), { messages: [...makeMessages(1), ...makeMessages(2, 50)] })
  })

  t.test('a checkpoint that holds changes alone keeps its parents', async t => {
    const { saver } = await openRedisSaver(t, server)
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
    const { saver, client } = await openRedisSaver(t, server)
    const first = await putValues(saver, { messages: makeMessages(1) })
    const spoiled = await client.get('{holdline}:thread-seq')
    const second = await putValues(saver, { n: 2 }, first)
    await client.hset('{holdline}:thread:thread', `l${spoiled}`, 'no message pack')
    saver.prune('thread', { isResting: true })
    await putValues(saver, { n: 3 }, second)
    t.same(await readValues(saver), { n: 3 })
    t.equal(await client.zcard('{holdline}:thread-order:thread'), 3)
  })
})
