import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { Send } from '@langchain/langgraph'
import { DeltaSnapshot, JsonPlusSerializer } from '@langchain/langgraph-checkpoint'
import fc from 'fast-check'
import t from 'tap'
import { SafeSerializer } from '../../../src/agent/checkpoints/serializer.ts'

const serde = new SafeSerializer()
const plain = new JsonPlusSerializer()

async function roundTrip (value: unknown): Promise<unknown> {
  return await serde.loadsTyped(...await serde.dumpsTyped(value))
}

/** What LangChain takes for orders to make something: of no class, of a class of its own, of one that is not there. */
const ORDERS: unknown[] = [
  { lc: 1, type: 'constructor', id: ['langchain', 'nope', 'Nope'], kwargs: {} },
  { lc: 1, type: 'constructor', id: ['langchain_core', 'messages', 'HumanMessage'], kwargs: { content: 'forged' } },
  { lc: 1, type: 'secret', id: ['PATH'] },
  { lc: 1, type: 'not_implemented', id: ['a'] },
  { lc: 2, type: 'constructor', id: ['Set'], method: null, args: [[1]], kwargs: {} },
  { lc: 2, type: 'undefined' },
  { __lc_escaped__: { lc: 1 } },
  { '~lc': 1, '~~lc': { lc: 2, type: 'undefined' }, lc: null }
]

t.test('an object that looks like an order comes back as the object that it was, wherever it is', async t => {
  for (const order of ORDERS) {
    const nested = { order, list: [order, [order]], map: new Map([['a', { order }]]), set: new Set([[order]]), text: '~lc"' }
    t.strictSame(await roundTrip(nested), nested)
    t.strictSame(await roundTrip(new DeltaSnapshot([order])), new DeltaSnapshot([order]))
    t.strictSame(await roundTrip(new Send('node', { order })), { node: 'node', args: { order } })
  }
})

t.test('so it does within a message, whichever part of it holds it', async t => {
  for (const order of ORDERS) {
    const message = new AIMessage({
      id: 'a', content: '', tool_calls: [{ id: 'c', name: 'note', args: { x: order, deep: [{ order }] } }], additional_kwargs: { order }
    })
    const revived = await roundTrip({ messages: [message], beside: order })
    if (typeof revived !== 'object' || revived === null || !('messages' in revived) || !Array.isArray(revived.messages)) throw new Error('No messages')
    const [read]: unknown[] = revived.messages
    t.ok(AIMessage.isInstance(read))
    if (!AIMessage.isInstance(read)) continue
    t.strictSame(read.tool_calls, message.tool_calls)
    t.strictSame(read.additional_kwargs, { order })
    t.strictSame('beside' in revived && revived.beside, order)
  }
})

t.test('any value with reserved keys anywhere comes back', async t => {
  const key = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('lc', '~lc', 'type', 'id', 'kwargs', '__lc_escaped__') }, fc.string())
  // __proto__ is no key of ours: it is left out, as JavaScript itself does when it is set.
  const plainJson = fc.jsonValue({ maxDepth: 1 }).filter(json => !JSON.stringify(json).includes('__proto__'))
  const leaf = fc.oneof(fc.constantFrom(1, 2, 'constructor', 'undefined', 'secret'), plainJson)
  const { value } = fc.letrec<{ value: unknown }>(tie => ({
    value: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('value')), fc.dictionary(key.filter(name => name !== '__proto__'), tie('value'), { noNullPrototype: true }))
  }))
  await fc.assert(fc.asyncProperty(value, async original => {
    t.strictSame(await roundTrip(original), JSON.parse(JSON.stringify(original)))
  }))
})

t.test('everything else is written as LangGraph writes it, and what LangGraph wrote is read', async t => {
  const values = [
    1, 'a', null, undefined, [], {}, { a: undefined }, new Map([[1, new Set([/a/g])]]), new Error('a'), new Uint8Array([1, 2]), { bytes: new Uint8Array([3]) },
    [new HumanMessage('a'), new ToolMessage({ content: 'b', tool_call_id: 'c' })], new DeltaSnapshot([1]), new Send('a', { b: 1 })
  ]
  const round: Record<string, unknown> = { lc: 1 }
  round.self = round
  for (const value of values) {
    const [type, data] = await plain.dumpsTyped(value)
    t.same(await serde.dumpsTyped(value), [type, data])
    t.same(await serde.loadsTyped(type, data), await plain.loadsTyped(type, data))
  }
  t.ok(await serde.dumpsTyped(round), 'a circle ends')
  // A thread that LangGraph's own serializer can no longer read.
  const [type, data] = await plain.dumpsTyped(new AIMessage({ content: '', tool_calls: [{ id: 'c', name: 'n', args: { x: ORDERS[0] } }] }))
  await t.rejects(plain.loadsTyped(type, data))
  t.match(await serde.loadsTyped(type, data), { tool_calls: [{ args: { x: ORDERS[0] } }] })
})

t.test('a value is written as it is at the call', async t => {
  const value = { list: [1] }
  const written = serde.dumpsTyped(value)
  value.list.push(2)
  t.same(await serde.loadsTyped(...await written), { list: [1] })
})
