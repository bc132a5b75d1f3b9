import { HumanMessage } from '@langchain/core/messages'
import t from 'tap'
import { ListMemory } from '../../../src/agent/checkpoints/list-memory.ts'
import { SafeSerializer } from '../../../src/agent/checkpoints/serializer.ts'
import { makeMessages } from '../../fixtures/checkpoints.ts'

/** The serializer, and how often it was used. */
class CountingSerializer extends SafeSerializer {
  loads = 0
  dumps = 0

  override async loadsTyped (type: string, data: Uint8Array | string): Promise<unknown> {
    this.loads++
    return await super.loadsTyped(type, data)
  }

  override async dumpsTyped (value: unknown): Promise<[string, Uint8Array]> {
    this.dumps++
    return await super.dumpsTyped(value)
  }
}

function open (maxBytes = 1024 * 1024) {
  const serde = new CountingSerializer()
  return { serde, memory: new ListMemory(serde, { maxThreads: 10, maxBytes }) }
}

async function readList (list: Promise<unknown>): Promise<unknown[]> {
  const value = await list
  if (!Array.isArray(value)) throw new TypeError('This is no list')
  return value
}

t.test('every value is written and read as LangGraph\'s serializer does', async t => {
  const values: unknown[] = [
    makeMessages(4), [], [1, 'a', null], [{ a: 1 }, { a: 1 }], [[{ a: 1 }], { b: [2] }], [new Set([1]), new Map([['a', { b: 1 }]])],
    [{ lc: 1, type: 'constructor', id: ['x'] }], [{ deep: { lc: 2 } }], [new Uint8Array([1, 2])], new Uint8Array([1, 2]), 'text', null, { a: [1] },
    [{ at: undefined }], [new HumanMessage({ content: 'a', additional_kwargs: { lc: 1 } })]
  ]
  const serde = new SafeSerializer()
  for (const value of values) {
    const thread = open().memory.open('thread')
    const [type, data] = await serde.dumpsTyped(value)
    const written = await thread.dump(value)
    t.same([written[0], Buffer.from(written[1]).toString()], [type, Buffer.from(data).toString()])
    const first = await thread.load(type, data)
    t.strictSame(first, await serde.loadsTyped(type, data))
    t.strictSame(await thread.load(type, data), await serde.loadsTyped(type, data))
    t.same(Buffer.from((await thread.dump(first))[1]).toString(), Buffer.from((await serde.dumpsTyped(first))[1]).toString())
  }
})

t.test('what was revived before is there already, and what did not change is not written down again', async t => {
  const { serde, memory } = open()
  const [, data] = await memory.open('thread').dump(makeMessages(4))
  const first = await readList(memory.open('thread').load('json', data))
  t.equal(serde.loads, 4)
  const [, longer] = await memory.open('thread').dump([...first, ...makeMessages(2, 50)])
  t.equal(serde.dumps, 6)
  const second = await readList(memory.open('thread').load('json', longer))
  t.equal(serde.loads, 6)
  t.equal(second[0], first[0])
  t.strictSame(second, [...makeMessages(4), ...makeMessages(2, 50)])
})

t.test('an object that was changed is neither given for its text, nor its text taken for it', async t => {
  const { memory } = open()
  const [, data] = await memory.open('thread').dump([{ a: { b: 1 } }, { c: 1 }])
  const list = await readList(memory.open('thread').load('json', data))
  Reflect.set(Reflect.get(Object(list[0]), 'a'), 'b', 2)
  t.equal(Buffer.from((await memory.open('thread').dump(list))[1]).toString(), '[{"a":{"b":2}},{"c":1}]')
  t.same(await memory.open('thread').load('json', data), [{ a: { b: 1 } }, { c: 1 }])
})

t.test('what is there twice is two objects, and no two threads share one', async t => {
  const { memory } = open()
  const [, data] = await memory.open('thread').dump([{ a: 1 }, { a: 1 }])
  for (let n = 0; n < 2; n++) {
    const list = await readList(memory.open('thread').load('json', data))
    t.not(list[0], list[1])
  }
  const [own] = await readList(memory.open('thread').load('json', data))
  const [other] = await readList(memory.open('other').load('json', data))
  t.not(own, other)
})

t.test('what was written down is what was there at the call', async t => {
  const thread = open().memory.open('thread')
  const list = [{ a: 1 }]
  const dump = thread.dump(list)
  Object.assign(Object(list[0]), { a: 2 })
  list.push({ a: 3 })
  t.equal(Buffer.from((await dump)[1]).toString(), '[{"a":1}]')
})

t.test('the threads that were used longest ago are forgotten where there is no room for all', async t => {
  const { serde, memory } = open(20_000)
  const [, data] = await serde.dumpsTyped(makeMessages(4))
  for (const thread of ['a', 'b', 'a']) await memory.open(thread).load('json', data)
  memory.open('c')
  serde.loads = 0
  await memory.open('a').load('json', data)
  t.equal(serde.loads, 0)
  await memory.open('b').load('json', data)
  t.equal(serde.loads, 4)
  memory.drop('b')
  await memory.open('b').load('json', data)
  t.equal(serde.loads, 8)
})
