import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages'
import fc from 'fast-check'
import t from 'tap'
import { isUnchanged, takeShape } from '../../../src/agent/checkpoints/shape.ts'

function makeMessage () {
  return new AIMessage({
    id: 'a',
    content: [{ type: 'text', text: 'hello' }],
    tool_calls: [{ id: 'c', name: 'note', args: { list: [{ text: 'milk' }] } }],
    additional_kwargs: { cache: { level: 1 } },
    response_metadata: { model_name: 'm', nested: { deep: [1, 2] } }
  })
}

t.test('every change within a message is seen, wherever it is made', async t => {
  const changes: Record<string, (message: AIMessage) => void> = {
    id: message => { message.id = 'b' },
    'id as LangGraph sets it': message => { message._updateId('b') },
    content: message => { message.content = 'bye' },
    'a content block': message => { Object.assign(message.content[0] ?? {}, { text: 'bye' }) },
    'one more block': message => { if (Array.isArray(message.content)) message.content.push({ type: 'text', text: '' }) },
    'a tool call\'s argument, deep inside': message => { message.tool_calls?.[0]?.args.list.push({ text: 'bread' }) },
    'another one': message => { message.tool_calls?.[0]?.args.list.splice(0, 1, { text: 'bread' }) },
    'a call that goes': message => { message.tool_calls?.pop() },
    additional_kwargs: message => { Object.assign(message.additional_kwargs, { cache: null }) },
    'a key that goes': message => { Reflect.deleteProperty(message.additional_kwargs, 'cache') },
    'a key that comes': message => { message.response_metadata.seen = undefined },
    usage: message => { Object.assign(message, { usage_metadata: { total_tokens: 2 } }) },
    'a property of one\'s own': message => { Object.assign(message, { mine: true }) },
    'what is written alone': message => { message.lc_kwargs.name = 'ann' }
  }
  for (const [what, change] of Object.entries(changes)) {
    const message = makeMessage()
    const shape = takeShape(message)
    if (shape === undefined) throw new Error('A message has a shape')
    t.ok(isUnchanged(shape), `not changed: ${what}`)
    change(message)
    t.notOk(isUnchanged(shape), what)
  }
})

t.test('what has changed as JSON has changed, for any value and any change', async () => {
  const place = fc.array(fc.nat(), { minLength: 1, maxLength: 5 })
  fc.assert(fc.property(fc.oneof(fc.object({ maxDepth: 4 }), fc.array(fc.object())), place, fc.jsonValue(), (value, path, other) => {
    const shape = takeShape(value)
    if (shape === undefined) return
    const before = JSON.stringify(value)
    t.ok(isUnchanged(shape) || before.includes('null'), 'only NaN differs from itself')
    let holder: object = value
    for (const step of path) {
      const keys = Object.keys(holder)
      const next: unknown = Reflect.get(holder, keys[step % Math.max(1, keys.length)] ?? '')
      if (typeof next !== 'object' || next === null) break
      holder = next
    }
    const keys = Object.keys(holder)
    Reflect.set(holder, keys[(path[0] ?? 0) % (keys.length + 1)] ?? 'new', other)
    if (JSON.stringify(value) !== before) t.notOk(isUnchanged(shape))
  }))
})

t.test('what its properties do not tell has no shape; what refers to itself has one', async t => {
  for (const hidden of [new Map(), new Set(), new Date(0), /a/, new Uint8Array(1), new Error('a'), () => {}, { toJSON: () => 1 }]) {
    t.equal(takeShape({ hidden }), undefined)
    t.equal(takeShape(new HumanMessage({ content: 'a', additional_kwargs: { hidden } })), undefined)
  }
  const round: Record<string, unknown> = { list: [1] }
  round.self = round
  const shape = takeShape(round)
  if (shape === undefined) throw new Error('It has a shape')
  t.ok(isUnchanged(shape))
  round.list = [1]
  t.notOk(isUnchanged(shape), 'an equal part in the place of another one counts as a change')
  t.ok(takeShape(new ToolMessage({ content: 'a', tool_call_id: 'c', artifact: { rows: [1] } })))
})
