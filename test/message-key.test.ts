import t from 'tap'
import { isMessageOf, KEY_LIFE_MS, makeMessageId, readMessageKey, type KeyedRequest } from '../src/message-key.ts'
import { START_MS } from './fixtures/sessions.ts'

function readKey (request: Partial<KeyedRequest> = {}, body: Partial<KeyedRequest['body']> = {}) {
  return readMessageKey({ route: '/api/chat', clientId: '', header: 'a', messageId: undefined, ...request, body: { user_id: '7', message: 'Hello', ...body } })
}

t.test('a key is one for the route, the API key, the person and the platform', async t => {
  const keys = [
    readKey(), readKey({ route: '/api/approve' }), readKey({ clientId: 'b' }), readKey({ header: 'b' }), readKey({}, { user_id: '8' }),
    readKey({}, { platform: 'irc' }), readKey({}, { session_id: 's' }), readKey({ header: undefined, messageId: 'a' }), readKey({ header: undefined, messageId: 'a' }, { session_id: 's', platform: 'api' }),
    readKey({ header: undefined, messageId: 'a' }, { platform: 'api', session_id: 's2' }),
    readKey({ header: undefined, messageId: 5 }), readKey({ header: undefined, messageId: '5' })
  ]
  t.equal(new Set(keys.map(key => key?.hash)).size, keys.length)
  t.equal(readKey({}, { user_id: 'api_7' })?.hash, readKey()?.hash)
  t.equal(readKey({}, { user_id: '7', platform: 'api' })?.hash, readKey()?.hash)
  for (const messageId of [undefined, '', null, {}, []]) {
    t.equal(readKey({ header: undefined, messageId }), undefined)
  }
})

t.test('the order of the fields is no other body', async t => {
  const read = (body: KeyedRequest['body'] & { metadata: object }) => readMessageKey({ route: '', clientId: '', header: 'a', messageId: undefined, body })
  const one = read({ user_id: '7', message: 'x', metadata: { a: 1, b: [{ c: 1, d: 2 }] } })
  const two = read({ metadata: { b: [{ d: 2, c: 1 }], a: 1 }, message: 'x', user_id: '7' })
  t.same(one, two)
})

t.test('a message\'s id is a UUID that tells its key and its time', async t => {
  const [key, other] = [readKey(), readKey({ header: 'b' })]
  if (key === undefined || other === undefined) throw new Error('There is a key')
  const id = makeMessageId(key, START_MS)
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.ok(isMessageOf(key, id, START_MS + KEY_LIFE_MS - 1))
  t.notOk(isMessageOf(key, id, START_MS + KEY_LIFE_MS))
  t.ok(isMessageOf(key, id, START_MS - 60_000), 'also for a clock that went back')
  t.notOk(isMessageOf(other, id, START_MS))
})
