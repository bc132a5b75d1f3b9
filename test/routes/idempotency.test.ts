import t from 'tap'
import { startApp, type Answer, type TestApp } from '../fixtures/app.ts'
import { EventClient, joinTokens } from '../fixtures/event-client.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'

const KEY = { 'idempotency-key': 'key-1' }
const REPLAYED = { 'idempotency-replayed': 'true' }
const HELLO = { user_id: 'ann', message: 'Hello' }

async function said (service: TestApp, answer: Answer): Promise<string[]> {
  const { body } = await service.get(`/api/sessions/${answer.body.session_id}/messages`)
  return body.messages.filter(message => message.role === 'user').map(message => message.content)
}

/** Stops the service, and starts it again on the same files. */
async function restart (t: Parameters<typeof startApp>[0], service: TestApp, options: Parameters<typeof startApp>[1] = {}): Promise<TestApp> {
  await service.app.close()
  return await startApp(t, { ...options, dir: service.dir })
}

t.test('a repeat gets the first answer again, byte for byte, and says so', async t => {
  const service = await startApp(t)
  const first = await service.chat(HELLO, KEY)
  t.notMatch(first.headers, REPLAYED)
  const second = await service.chat({ message: 'Hello', user_id: 'ann' }, KEY)
  t.match(second, { status: 200, headers: REPLAYED })
  t.same(second.body, first.body)
  t.same(await said(service, first), ['Hello'])
})

t.test('requests with one key at the same time are one turn, and all get what it comes to', async t => {
  const provider = await OpenAiServer.start(t)
  const { asked, answered } = provider.hold('Done')
  const service = await startApp(t, { env: provider.env })
  const all = Array.from({ length: 4 }, async () => await service.chat(HELLO, KEY))
  await asked.opened
  answered.open()
  const answers = await Promise.all(all)
  t.same(answers.map(answer => [answer.status, answer.body.message]), Array.from({ length: 4 }, () => [200, 'Done']))
  t.equal(answers.filter(answer => answer.headers['idempotency-replayed'] === 'true').length, 3)
  t.equal(provider.requests.length, 1)
})

t.test('a key is a person\'s, on a platform and a route, and spelled in any way it means the same person', async t => {
  const service = await startApp(t)
  const first = await service.chat({ user_id: '7', platform: 'telegram', message: 'Hello' }, KEY)
  t.notMatch(await service.chat({ user_id: '8', platform: 'telegram', message: 'Hello' }, KEY), { headers: REPLAYED })
  t.notMatch(await service.chat({ user_id: '7', platform: 'slack', message: 'Hello' }, KEY), { headers: REPLAYED })
  t.match(await service.chat({ user_id: 'telegram_7', message: 'Hello' }, KEY), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
  const byId = { message: 'Hi', metadata: { message_id: 5 } }
  const one = await service.chat({ ...byId, user_id: '7', platform: 'telegram' })
  t.match(await service.chat({ ...byId, user_id: 'telegram_7' }), { headers: REPLAYED, body: { message: one.body.message } })
  t.same(await said(service, first), ['Hello', 'Hi'])
})

t.test('the same key with another body is refused; the same message_id with another text is another message', async t => {
  const service = await startApp(t)
  await service.chat(HELLO, KEY)
  t.match(await service.chat({ ...HELLO, message: 'Other' }, KEY), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED', status: 'error' } })
  const edited = { ...HELLO, metadata: { message_id: 'm1' } }
  await service.chat(edited)
  t.match(await service.chat(edited), { headers: REPLAYED })
  const answer = await service.chat({ ...edited, message: 'Hello, edited' })
  t.notMatch(answer.headers, REPLAYED)
  t.same(await said(service, answer), ['Hello', 'Hello', 'Hello, edited'])
})

t.test('a decision is another one for another answer, question or session: its body has no message_id, and a key is for one body', async t => {
  const service = await startApp(t)
  const ask = async (text: string) => (await service.say(`note: ${text}`)).body
  const { session_id, approval_data: milk } = await ask('milk')
  const decide = { user_id: 'ann', platform: 'api', session_id, metadata: { message_id: 77 } }
  t.match(await service.approve({ ...decide, approved: false, approval_id: milk?.approval_id }), { status: 200 })
  const { approval_data: bread } = await ask('bread')
  const second = await service.approve({ ...decide, approved: true, approval_id: bread?.approval_id })
  t.match(second, { status: 200, body: { message: /bread/ } })
  t.notMatch(second.headers, REPLAYED)
  const { approval_data: eggs } = await ask('eggs')
  const keyed = { ...decide, approved: true, approval_id: eggs?.approval_id }
  t.match(await service.approve(keyed, KEY), { status: 200 })
  for (const change of [{ approved: false }, { approval_id: bread?.approval_id }, { session_id: 'other' }]) {
    t.match(await service.approve({ ...keyed, ...change }, KEY), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
  }
  t.match(await service.approve(keyed, KEY), { status: 200, headers: REPLAYED })
})

t.test('a key is 1 to 255 visible ASCII characters, or the header is named', async t => {
  const service = await startApp(t)
  for (const key of ['a b', 'é', 'x'.repeat(256)]) {
    t.match(await service.chat(HELLO, { 'idempotency-key': key }), { status: 400, body: { code: 'REQUEST_INVALID', message: /idempotency-key/ } }, key)
  }
  t.equal((await service.chat(HELLO, { 'idempotency-key': `"${'~'.repeat(253)}"` })).status, 200)
  t.equal((await service.chat({ ...HELLO, metadata: { message_id: {} } })).status, 200, 'an id of another kind is only metadata')
})

t.test('after an error the key is free, and a full queue does not use it up', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: { ...provider.env, MAX_QUEUED_TURNS: '1' } })
  provider.answer = () => ({ status: 400 })
  t.equal((await service.chat(HELLO, KEY)).status, 502)
  const { asked, answered } = provider.hold('Done')
  const running = service.say('1')
  await asked.opened
  const waiting = service.say('2')
  const refused = await Promise.all([service.chat(HELLO, KEY), service.chat(HELLO, KEY)])
  t.same(refused.map(answer => answer.status), [429, 429])
  answered.open()
  await Promise.all([running, waiting])
  const last = await service.chat(HELLO, KEY)
  t.match(last, { status: 200, body: { message: 'Done' } })
  t.notMatch(last.headers, REPLAYED)
})

t.test('a repeat of a message that waits in the queue has its status by the first heartbeat, and another body is refused at once', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env, heartbeatMs: 5 })
  const url = `${await service.listen()}/api/chat`
  const { asked, answered } = provider.hold('Done')
  const running = service.say('1')
  await asked.opened
  const first = await EventClient.open(url, HELLO, KEY)
  const second = await EventClient.open(url, HELLO, KEY)
  t.match([await first.nextComment(), await second.nextComment()], [/still here/, /still here/])
  t.match(second.headers, REPLAYED)
  t.match(await service.chat({ ...HELLO, message: 'Other' }, KEY), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
  answered.open()
  t.same(await second.rest(), await first.rest())
  await running
})

t.test('a key is kept for ten minutes', async t => {
  let now = Date.now()
  const service = await startApp(t, { now: () => now })
  const first = await service.chat(HELLO, KEY)
  now += 10 * 60_000 - 1
  t.match((await service.chat(HELLO, KEY)).headers, REPLAYED)
  now += 2
  t.notMatch((await service.chat(HELLO, KEY)).headers, REPLAYED)
  t.same(await said(service, first), ['Hello', 'Hello'])
})

t.test('a repeat may ask for a stream: of a finished turn its end, of a running one its events', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const url = `${await service.listen()}/api/chat`
  const gate = makeGate()
  provider.answer = () => ({ text: 'One two', pace: async index => { if (index === 1) await gate.opened } })
  const first = await EventClient.open(url, HELLO, KEY)
  const [session, one] = [await first.next(), await first.next()]
  const second = await EventClient.open(url, HELLO, KEY)
  t.match(second.headers, REPLAYED)
  t.same([await second.next(), await second.next()], [session, one])
  gate.open()
  t.same(await second.rest(), await first.rest())
  const third = await EventClient.open(url, HELLO, KEY)
  t.same((await third.rest()).map(event => event.name), ['session', 'message'])
  t.match(await service.chat(HELLO, KEY), { headers: REPLAYED, body: { message: 'One two' } })
  t.equal(provider.requests.length, 1)

  const { asked, answered } = provider.hold('Three')
  const json = service.chat(HELLO, { 'idempotency-key': 'key-2' })
  await asked.opened
  const follower = await EventClient.open(url, HELLO, { 'idempotency-key': 'key-2' })
  answered.open()
  const events = await follower.rest()
  t.equal(joinTokens(events), 'Three')
  t.same(events.at(-1)?.data, (await json).body)
})

t.test('after a restart a finished turn is not run again: its reply is found in the conversation', async t => {
  const provider = await OpenAiServer.start(t)
  const options = { env: provider.env }
  const first = await startApp(t, options)
  const before = await first.chat(HELLO, KEY)
  const edited = await first.say('Hi', { metadata: { message_id: 5 } })
  const second = await restart(t, first, options)
  const after = await second.chat(HELLO, KEY)
  t.match(after, { status: 200, headers: REPLAYED, body: { message: before.body.message, session_id: before.body.session_id, status: 'completed' } })
  t.match(await second.say('Hi', { metadata: { message_id: 5 } }), { headers: REPLAYED, body: { message: edited.body.message } })
  t.match(await second.chat({ ...HELLO, message: 'Other' }, KEY), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } }, 'known again by now')
  t.same(await said(second, before), ['Hello', 'Hi'])
  t.equal(provider.requests.length, 2)
  const third = await restart(t, second, options)
  t.match(await third.chat({ ...HELLO, message: 'Other' }, KEY), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } }, 'the text is in the thread')
})

t.test('after a restart and ten minutes a key is free, and what was said with it stays', async t => {
  let now = Date.now()
  const options = { now: () => now }
  const first = await startApp(t, options)
  const before = await first.chat(HELLO, KEY)
  now += 10 * 60_000
  const second = await restart(t, first, options)
  t.notMatch((await second.chat(HELLO, KEY)).headers, REPLAYED)
  t.same(await said(second, before), ['Hello', 'Hello'])
})

t.test('after a restart a question is repeated as it is, and decisions, words and /new are known by their keys', async t => {
  const first = await startApp(t)
  const keyed = (key: string) => ({ 'idempotency-key': key })
  const note = { user_id: 'ann', message: 'note: one' }
  const yes = { user_id: 'ann', message: 'yes' }
  const other = { user_id: 'ann', message: 'What do you mean?' }
  const asked = await first.chat(note, keyed('ask'))
  const second = await restart(t, first)
  t.match(await second.chat(note, keyed('ask')), { headers: REPLAYED, body: { status: 'waiting_approval', approval_data: asked.body.approval_data } })
  t.match((await second.chat(other, keyed('other'))).body, { status: 'waiting_approval' })
  const done = await second.chat(yes, keyed('yes'))
  t.match(done.body, { status: 'completed', message: /Saved the note: one/ })

  const third = await restart(t, second)
  t.match(await third.chat(yes, keyed('yes')), { headers: REPLAYED, body: { message: done.body.message } })
  t.match(await third.chat(other, keyed('other')), { headers: REPLAYED, body: { message: done.body.message } }, 'what came of it since')
  const { body: { session_id } } = await third.say('note: two')
  const decision = { user_id: 'ann', session_id, approved: true }
  const approved = await third.approve(decision, keyed('approve'))
  t.match(approved.body.message, /Saved the note: two/)

  const fourth = await restart(t, third)
  const rejected = await fourth.approve({ ...decision, approved: false }, keyed('approve'))
  t.match(rejected, { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } }, 'what it decided is known, too')
  t.match(await fourth.approve(decision, keyed('approve')), { headers: REPLAYED, body: { message: approved.body.message } })
  t.match((await fourth.say('notes')).body.message, 'Your notes:\n1. one\n2. two\n(offline')
  const [session] = (await fourth.get('/api/sessions/ann')).body.sessions
  t.same(Object.keys(Object(session?.metadata.holdline)), ['decisions'], 'of what the service keeps for itself, the decisions are shown')

  const fresh = await fourth.chat({ user_id: 'ann', message: '/new' }, keyed('new'))
  await fourth.say('I am Ann')
  const fifth = await restart(t, fourth)
  t.match(await fifth.chat({ user_id: 'ann', message: '/new' }, keyed('new')), { headers: REPLAYED, body: { session_id: fresh.body.session_id } })
  t.match((await fifth.say('what did I say first?')).body.message, '"I am Ann"')
})

t.test('a decision that took effect just before a crash is told when it comes again', async t => {
  const first = await startApp(t, { dir: makeFolder(t) })
  const { body: { session_id } } = await first.say('note: one')
  const decision = { user_id: 'ann', session_id, approved: true }
  const { sessionStore } = first.app
  const update = sessionStore.update.bind(sessionStore)
  let saves = 0
  t.intercept(sessionStore, 'update', {
    configurable: true,
    value: async (...args: Parameters<typeof update>) => {
      // The claim is saved, and the thread; what comes then is not, as at a crash.
      if (++saves === 2) throw new Error('The process is dead')
      return await update(...args)
    }
  })
  t.equal((await first.approve(decision, KEY)).status, 500)
  const second = await restart(t, first)
  t.match(await second.approve(decision, KEY), { status: 200, headers: REPLAYED, body: { message: 'Saved the note: one\n(offline model)' } })
  t.match((await second.say('Hello')).body.message, /^You said: Hello/, 'and only then')
})
