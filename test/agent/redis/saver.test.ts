import { AIMessage, HumanMessage, type BaseMessage } from '@langchain/core/messages'
import { JsonPlusSerializer, uuid6 } from '@langchain/langgraph-checkpoint'
import fc from 'fast-check'
import t from 'tap'
import { ServiceError } from '../../../src/errors.ts'
import { RedisSaver } from '../../../src/agent/redis/saver.ts'
import { RedisThreads } from '../../../src/agent/redis/threads.ts'
import { idOf, idAt, listTuples, makeCheckpoint, makeMessages, METADATA, putValues, readValues, threadConfig } from '../../fixtures/checkpoints.ts'
import { applyChange, CHANGE_KINDS } from '../../fixtures/list-changes.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { makeSaver, openRedisSaver } from '../../fixtures/redis-conversations.ts'

async function readMessagesOf (saver: RedisSaver, config = threadConfig()): Promise<BaseMessage[]> {
  const messages = (await readValues(saver, config))?.messages
  return Array.isArray(messages) ? messages : []
}

t.test('checkpoints in Redis', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)

  t.test('the newest checkpoint is the one put last, whatever the clocks of the replicas that put them say', async t => {
    const { saver, connection } = await openRedisSaver(t, server)
    const [ahead, behind] = [makeSaver(connection), makeSaver(connection)]
    let config = threadConfig()
    const ids: string[] = []
    for (const [ms, writer] of [[5000, saver], [605_000, ahead], [6000, saver], [1000, behind]] as const) {
      ids.push(idAt(ms))
      config = await putValues(writer, { at: ms }, config, idAt(ms))
    }
    for (const reader of [saver, ahead, behind]) {
      t.same(await readValues(reader), { at: 1000 })
      const listed = await listTuples(reader.list(threadConfig()))
      t.same(listed.map(tuple => tuple.checkpoint.channel_values.at), [1000, 6000, 605_000, 5000])
      t.same(listed.map(tuple => idOf(tuple.parentConfig)), [ids[2], ids[1], ids[0], undefined])
      const before = await listTuples(reader.list(threadConfig(), { before: threadConfig('thread', '', ids[2]) }))
      t.same(before.map(tuple => tuple.checkpoint.channel_values.at), [605_000, 5000])
      t.same((await listTuples(reader.list(threadConfig(), { limit: 1, before: threadConfig('thread', '', ids[3]) })))
        .map(tuple => tuple.checkpoint.channel_values.at), [6000])
    }
  })

  t.test('one that is put again keeps its place, with what it was given last', async t => {
    const { saver } = await openRedisSaver(t, server)
    const first = uuid6(0)
    const config = await putValues(saver, { messages: makeMessages(2) }, threadConfig(), first)
    const second = await putValues(saver, { messages: makeMessages(4) }, config)
    await putValues(saver, { messages: makeMessages(1) }, threadConfig(), first)
    t.equal(idOf((await saver.getTuple(threadConfig()))?.config), idOf(second))
    t.strictSame(await readValues(saver, config), { messages: makeMessages(1) })
  })

  t.test('what is kept is the state at the put: what is changed in place afterwards, or was before, spoils nothing', async t => {
    const { saver } = await openRedisSaver(t, server)
    await putValues(saver, { messages: makeMessages(4) })
    const [, answer, ...rest] = await readMessagesOf(saver)
    const before = JSON.stringify(await readMessagesOf(saver))
    if (!AIMessage.isInstance(answer)) throw new Error('An answer')
    const parent = await saver.getTuple(threadConfig())
    answer.tool_calls?.[0]?.args.deep.text.push('changed')
    const put = putValues(saver, { messages: [answer, ...rest], notes: { a: [1] } }, parent?.config)
    answer.content = 'too late: this is after the put'
    await put
    const [read] = await readMessagesOf(saver)
    t.match(read, { content: 'answer 1', tool_calls: [{ args: { deep: { text: ['1', 'changed'] } } }] })
    t.equal(JSON.stringify(await readMessagesOf(saver, parent?.config)), before)
    Object.assign((await readValues(saver))?.notes ?? {}, { a: 'spoiled' })
    t.same((await readValues(saver))?.notes, { a: [1] })
  })

  t.test('any lists, after any changes of a run, are what LangGraph\'s own serializer makes of them, on this replica and on another one', async t => {
    const plain = new JsonPlusSerializer()
    const { saver, connection } = await openRedisSaver(t, server)
    const other = makeSaver(connection, { memory: { maxBytes: 0, maxThreads: 0 } })
    const change = fc.record({ kind: fc.constantFrom(...CHANGE_KINDS), at: fc.nat(8), text: fc.string(), isMine: fc.boolean() })
    let threads = 0
    await fc.assert(fc.asyncProperty(fc.array(change, { maxLength: 12 }), fc.boolean(), async (changes, isRevived) => {
      const threadId = `thread-${++threads}`
      let config = threadConfig(threadId)
      let list: unknown[] = []
      const kept: Array<[typeof config, unknown]> = []
      for (const { kind, at, text, isMine } of changes) {
        list = applyChange(list, kind, at, text)
        config = await putValues(isMine ? saver : other, { list, other: list.slice(0, 2) }, config)
        const expected: unknown = await plain.loadsTyped(...await plain.dumpsTyped({ list, other: list.slice(0, 2) }))
        t.strictSame(await readValues(other, threadConfig(threadId)), expected)
        kept.push([config, expected])
        const read = (await readValues(saver, threadConfig(threadId)))?.list
        if (isRevived && Array.isArray(read)) list = read
      }
      const listed = (await listTuples(saver.list(threadConfig(threadId)))).map(tuple => tuple.checkpoint.channel_values)
      t.strictSame(listed, kept.map(([, values]) => values).reverse())
    }), { numRuns: 40 })
  })

  t.test('each message is written once, however long the conversation, and whichever replica goes on with it', async t => {
    const { saver, connection, client } = await openRedisSaver(t, server)
    const savers = [saver, makeSaver(connection)]
    let config = threadConfig()
    for (let turn = 0; turn < 10; turn++) {
      const writer = savers[turn % 2] ?? saver
      const messages = turn === 0 ? [] : await readMessagesOf(writer)
      messages.push(...makeMessages(2, turn * 2))
      config = await putValues(writer, { messages }, config)
      t.equal(await client.hlen('{holdline}:thread-items:thread'), (turn + 1) * 2)
    }
    const cold = makeSaver(connection)
    t.strictSame(await readMessagesOf(cold), makeMessages(20))
  })

  t.test('an object that another replica removed and pruned, and that this one puts again, is written again', async t => {
    const { saver, connection, client } = await openRedisSaver(t, server)
    const other = makeSaver(connection)
    const greeting = new HumanMessage({ id: 'g', content: 'a constant of the graph\'s' })
    let config = await putValues(saver, { messages: [greeting, ...makeMessages(1)] })
    config = await putValues(other, { messages: makeMessages(1) }, config)
    other.prune('thread', { isResting: true })
    config = await putValues(other, { messages: makeMessages(2) }, config)
    other.prune('thread', { isResting: true })
    config = await putValues(other, { messages: makeMessages(2) }, config)
    t.equal(await client.hlen('{holdline}:thread-items:thread'), 2)
    await putValues(saver, { messages: [...makeMessages(2), greeting] }, config)
    t.strictSame(await readMessagesOf(other), [...makeMessages(2), greeting])
  })

  t.test('one that was changed while the server turned out to lack it is refused, and the thread is as it was', async t => {
    const { saver, client } = await openRedisSaver(t, server)
    const [message] = makeMessages(1)
    const config = await putValues(saver, { messages: [message] })
    await client.flushdb()
    const put = putValues(saver, { messages: [message] }, config)
    Object.assign(message ?? {}, { content: 'changed' })
    await t.rejects(put, /gone, and was changed/)
    t.equal(await client.exists('{holdline}:thread:thread'), 0)
    await putValues(saver, { messages: [message] }, config)
    t.match(await readMessagesOf(saver), [{ content: 'changed' }])
  })

  t.test('what another replica takes away between a checkpoint and its items is no fault: the newest is read then', async t => {
    const { saver, connection } = await openRedisSaver(t, server)
    const config = await putValues(saver, { messages: makeMessages(3) })
    const other = makeSaver(connection)
    let reads = 0
    const read: typeof connection.read = async (lua, ...args) => {
      if (++reads === 2) {
        const next = await putValues(other, { messages: makeMessages(2, 50) }, config)
        other.prune('thread', { isResting: true })
        await putValues(other, { messages: makeMessages(2, 50) }, next)
      }
      return await connection.read(lua, ...args)
    }
    const slow = new RedisSaver(new RedisThreads({ read, run: connection.run.bind(connection) }, Date.now))
    t.strictSame(await readMessagesOf(slow), makeMessages(2, 50))
    t.equal(reads, 4)
  })

  t.test('a thread whose fields are spoiled says so, can be deleted, and harms no other', async t => {
    const { saver, connection, client } = await openRedisSaver(t, server)
    const seqOf = async () => await client.get('{holdline}:thread-seq')
    const spoils: Array<() => Promise<unknown>> = [
      async () => await client.hset('{holdline}:thread:thread', `b${await seqOf()}`, '{'),
      async () => await client.hdel('{holdline}:thread:thread', `b${await seqOf()}`),
      async () => await client.hset('{holdline}:thread:thread', `l${await seqOf()}`, 'no message pack'),
      async () => await client.del('{holdline}:thread-items:thread'),
      async () => await client.set('{holdline}:thread-writes:thread', 'no hash')
    ]
    for (const spoil of spoils) {
      await client.flushdb()
      const cold = makeSaver(connection)
      await putValues(cold, { messages: makeMessages(2) }, threadConfig('other'))
      const config = await putValues(cold, { messages: makeMessages(2) })
      await cold.putWrites(config, [['a', 1]], 'task')
      await spoil()
      const failure: unknown = await makeSaver(connection).getTuple(threadConfig()).catch((error: unknown) => error)
      t.ok(failure instanceof Error && !(failure instanceof ServiceError), 'it is the thread, not the server')
      t.strictSame(await readValues(cold, threadConfig('other')), { messages: makeMessages(2) })
      await cold.deleteThread('thread')
      t.equal(await cold.getTuple(threadConfig()), undefined)
      await putValues(cold, { messages: makeMessages(3) })
      t.strictSame(await readValues(saver), { messages: makeMessages(3) })
    }
  })

  t.test('a checkpoint is kept whole: what it has beside its values too, bytes and NULs included', async t => {
    const { saver, connection } = await openRedisSaver(t, server)
    const checkpoint = {
      ...makeCheckpoint({ messages: makeMessages(2), empty: [], text: 'a\u0000é😀', chunks: [new Uint8Array([1])], 'odd\u0000:name': [{ a: 1 }] }),
      versions_seen: { node: { a: 3 } }
    }
    const metadata = { ...METADATA, source: 'update' as const, step: 7, mine: { a: [1] } }
    await saver.put(threadConfig('thread', 'é:0\u0000'), checkpoint, metadata, checkpoint.channel_versions)
    const writes: Array<[string, unknown]> = [['bytes', new Uint8Array([0, 7, 255])], ['list', makeMessages(1)], ['__interrupt__', { a: 1 }]]
    await saver.putWrites(threadConfig('thread', 'é:0\u0000', checkpoint.id), writes, 'task')
    const tuple = await makeSaver(connection).getTuple(threadConfig('thread', 'é:0\u0000'))
    t.strictSame(tuple?.checkpoint, checkpoint)
    t.strictSame(tuple?.metadata, metadata)
    t.strictSame(tuple?.pendingWrites, [['task', '__interrupt__', { a: 1 }], ['task', 'bytes', new Uint8Array([0, 7, 255])], ['task', 'list', makeMessages(1)]])
  })

  t.test('writes of a task are kept once, in the order of paths, and special ones are replaced', async t => {
    const { saver } = await openRedisSaver(t, server)
    const config = await putValues(saver, { n: 1 })
    await saver.putWrites(config, [['a', 1], ['b', 2]], 'task-2', '~1')
    await saver.putWrites(config, [['a', 'again'], ['b', 'again']], 'task-2', '~1')
    await saver.putWrites(config, [['a', 3]], 'task-3', '~0')
    await saver.putWrites(config, [['__error__', 'first']], 'task-1')
    await saver.putWrites(config, [['__error__', 'second']], 'task-1')
    t.same((await saver.getTuple(config))?.pendingWrites, [
      ['task-1', '__error__', 'second'], ['task-3', 'a', 3], ['task-2', 'a', 1], ['task-2', 'b', 2]
    ])
  })

  t.test('a thread that is deleted and begins anew holds nothing of the old one, nor does what was under way', async t => {
    const { saver } = await openRedisSaver(t, server)
    await putValues(saver, { messages: makeMessages(3) })
    const putting = putValues(saver, { messages: makeMessages(5) })
    await saver.deleteThread('thread')
    await putting
    t.equal(await readValues(saver), undefined, 'the put came first')
    await putValues(saver, { messages: makeMessages(2, 10) })
    t.strictSame(await readValues(saver), { messages: makeMessages(2, 10) })
  })
})
