import t from 'tap'
import { startApp } from '../fixtures/app.ts'
import { EventClient, joinTokens } from '../fixtures/event-client.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'

const BODY = { user_id: 'ann', message: 'Count' }

t.test('a client that lost the line goes on behind the last event that it has, while the turn runs and after, and starts no turn', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const url = `${await service.listen()}/api/chat`
  const gate = makeGate()
  provider.answer = () => ({ text: 'One two three', pace: async index => { if (index === 1) await gate.opened } })
  const client = await EventClient.open(url, BODY)
  const session = await client.next()
  const one = await client.next()
  client.leave()
  const again = await EventClient.open(url, BODY, { 'last-event-id': session?.id ?? '' })
  t.equal(again.status, 200)
  t.same(await again.next(), one, 'the event that was sent before, once more')
  gate.open()
  const live = await again.rest()
  t.same(live.map(event => event.name), ['token', 'token', 'message'])
  t.equal(joinTokens(live), 'two three')
  const after = await EventClient.open(url, BODY, { 'last-event-id': one?.id ?? '' })
  t.same(await after.rest(), live, 'the same events, with the same ids')
  const ended = await EventClient.open(url, BODY, { 'last-event-id': live.at(-1)?.id ?? '' })
  t.same((await ended.rest()).map(event => event.name), ['message'], 'every stream has an end')
  const json = await service.chat(BODY, { 'last-event-id': one?.id ?? '' })
  t.match(json, { status: 200, body: { message: 'One two three' } }, 'as JSON, too')
  t.equal(provider.requests.length, 1)
})

t.test('only the person whose turn it is goes on with it, and what is not there cannot be told from it', async t => {
  const service = await startApp(t)
  const url = `${await service.listen()}/api/chat`
  const events = await (await EventClient.open(url, { ...BODY, user_id: '7', platform: 'telegram' })).rest()
  const id = events[0]?.id ?? ''
  const open = async (body: object, eventId = id) => {
    const client = await EventClient.open(url, { message: 'Count', ...body }, { 'last-event-id': eventId })
    return client.status === 200 ? (await client.rest()).map(event => event.name).at(-1) : (await client.json()).code
  }
  const session_id = events[0]?.data.session_id
  t.equal(await open({ user_id: '7', platform: 'telegram' }), 'message')
  t.equal(await open({ user_id: 'telegram_7' }), 'message')
  t.equal(await open({ user_id: '7', session_id }), 'message')
  t.equal(await open({ user_id: '7', platform: 'slack' }), 'STREAM_GONE')
  t.equal(await open({ user_id: '8', platform: 'telegram' }), 'STREAM_GONE')
  t.equal(await open({ user_id: '7', platform: 'telegram', session_id: 'another' }), 'STREAM_GONE')
  for (const eventId of ['1', 'x:1', `${id.split(':')[0]}`, '00000000-0000-4000-8000-000000000000:1']) {
    t.equal(await open({ user_id: '7', platform: 'telegram' }, eventId), 'STREAM_GONE', eventId)
  }
  const { body } = await service.get(`/api/sessions/${session_id}/messages`)
  t.equal(body.messages.length, 2, 'none of them started a turn')
})

t.test('events are kept for five minutes after the end of their turn', async t => {
  let now = Date.now()
  const service = await startApp(t, { now: () => now })
  const url = `${await service.listen()}/api/chat`
  const [first] = await (await EventClient.open(url, BODY)).rest()
  now += 5 * 60_000 - 1
  t.equal((await EventClient.open(url, BODY, { 'last-event-id': first?.id ?? '' })).status, 200)
  now += 1
  const late = await EventClient.open(url, BODY, { 'last-event-id': first?.id ?? '' })
  t.equal(late.status, 409)
  t.match(await late.json(), { code: 'STREAM_GONE', status: 'error' })
})

t.test('a stream of another key cannot be followed', async t => {
  const service = await startApp(t, { env: { API_KEY: 'key' } })
  const url = `${await service.listen()}/api/chat`
  const [first] = await (await EventClient.open(url, BODY, { 'x-api-key': 'key' })).rest()
  const place = service.app.turnDesk
  const follower = { userId: 'ann', platform: undefined, sessionId: undefined, formatError: () => '{}' }
  await t.rejects(place.find(first?.id ?? '', { ...follower, clientId: 'another' }), { code: 'STREAM_GONE' })
  t.equal((await EventClient.open(url, BODY, { 'x-api-key': 'key', 'last-event-id': first?.id ?? '' })).status, 200)
})
