import { once } from 'node:events'
import type { FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { startApp, type TestApp } from '../fixtures/app.ts'
import { EventClient } from '../fixtures/event-client.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'
import { RawClient } from '../fixtures/raw-client.ts'

async function start (t: Test, env: Record<string, string> = {}, heartbeatMs = 15_000) {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: { ...provider.env, MAX_STREAMS: '1', ...env }, heartbeatMs })
  const url = `${await service.listen()}/api/chat`
  const open = async (userId: string, headers: Record<string, string> = {}) => await EventClient.open(url, { user_id: userId, message: 'Hello' }, headers)
  return { provider, service, open }
}

async function listPeople (service: TestApp): Promise<string[]> {
  return (await service.get('/api/sessions')).body.active_sessions.map(session => session.user_id)
}

t.test('a stream above the limit is refused before anything has begun, and its key stays free', async t => {
  const { provider, service, open } = await start(t)
  const { answered } = provider.hold('Done')
  const first = await open('ann')
  const refused = await open('bob', { 'idempotency-key': 'k' })
  t.equal(refused.status, 429)
  t.equal(refused.headers['retry-after'], '5')
  t.match(await refused.json(), { code: 'STREAMS_EXCEEDED', status: 'error', user_id: 'api_bob', requires_approval: false })
  t.same(await listPeople(service), ['api_ann'], 'not even a session')
  const asJson = service.chat({ user_id: 'bob', message: 'Another text' }, { 'idempotency-key': 'k' })
  answered.open()
  await first.rest()
  t.match(await asJson, { status: 200, body: { message: 'Done' } }, 'JSON is no stream, and the key was not used')
  const last = await open('bob')
  t.match((await last.rest()).at(-1), { name: 'message' }, 'one that has ended makes room')
})

t.test('a stream ends for the count however it ends: read, left, refused, failed', async t => {
  const { provider, service, open } = await start(t, { MAX_QUEUED_TURNS: '0' })
  await (await open('ann')).rest()

  const { asked, answered } = provider.hold('Done')
  const connected = once(service.app.server, 'connection')
  const left = await open('ann')
  await asked.opened
  t.equal((await open('bob')).status, 429)
  const [socket] = await connected
  // By an error or not: what the client has not read makes the difference.
  const closed = new Promise(resolve => { socket.on('close', resolve) })
  left.leave()
  await closed
  const full = await open('ann')
  t.equal(full.status, 429)
  t.match(await full.json(), { code: 'TURN_QUEUE_FULL' }, 'the turn goes on without its stream, and who waits for it has one')
  answered.open()

  const url = `${await address(service)}/api/chat`
  const unknown = await EventClient.open(url, { user_id: 'bob', message: 'Hello', session_id: 'nowhere' })
  t.match(await unknown.json(), { code: 'SESSION_NOT_FOUND' })
  provider.answer = () => ({ status: 400 })
  t.match((await (await open('bob')).rest()).at(-1), { name: 'error' })
  const gone = await open('bob', { 'last-event-id': '00000000-0000-4000-8000-000000000000:1' })
  t.match(await gone.json(), { code: 'STREAM_GONE' })
  provider.answer = () => ({ text: 'Fine' })
  t.match((await (await open('bob')).rest()).at(-1), { name: 'message', data: { message: 'Fine' } })
})

t.test('streams asked for at once, on one connection, are over when that closes, and hold up no end of the service', async t => {
  const { provider, service, open } = await start(t, { MAX_STREAMS: '2' })
  const answered = makeGate()
  const asked = [makeGate(), makeGate()]
  provider.answer = async () => {
    asked.shift()?.open()
    await answered.opened
    return { text: 'Done' }
  }
  const bothAsked = Promise.all(asked.map(async gate => { await gate.opened }))
  const connected = once(service.app.server, 'connection')
  const client = new RawClient(await address(service))
  client.send(['ann', 'bob'].map(userId => {
    const body = JSON.stringify({ user_id: userId, message: 'Hello' })
    return `POST /api/chat HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  }).join(''))
  await bothAsked
  const [socket] = await connected
  t.equal((await open('eve')).status, 429)
  const closed = once(socket, 'close')
  client.destroy()
  await closed
  const streams = await Promise.all([open('eve'), open('fay')])
  t.same(streams.map(({ status }) => status), [200, 200])
  answered.open()
  for (const stream of streams) await stream.rest()
  await service.app.close()
})

t.test('who hangs up before it is looked where they are has the turn that they asked for', async t => {
  const provider = await OpenAiServer.start(t)
  const logged: Record<string, unknown>[] = []
  const hangUp = async ({ raw }: FastifyRequest): Promise<void> => { raw.socket.destroy() }
  const service = await startApp(t, { env: provider.env, logged, prepare: app => app.addHook('preParsing', hangUp) })
  const { asked, answered } = provider.hold('Done')
  const client = new RawClient(await service.listen())
  const body = '{"user_id":"ann","message":"Hello"}'
  client.send(`POST /api/chat HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  await client.closed
  await asked.opened
  answered.open()
  await service.app.close()
  t.match(logged.at(-1), { msg: 'Turn ended', outcome: 'completed' })
})

t.test('who goes on with a stream has one open, too', async t => {
  // Until there is something to tell, a heartbeat is what tells that the line is open.
  const { provider, open } = await start(t, { MAX_STREAMS: '2' }, 50)
  const { answered } = provider.hold('Done')
  const first = await open('ann')
  const session = await first.next()
  const second = await open('ann', { 'last-event-id': session?.id ?? '' })
  t.equal(second.status, 200)
  t.equal((await open('ann', { 'last-event-id': session?.id ?? '' })).status, 429)
  answered.open()
  t.match((await second.rest()).at(-1), { name: 'message' })
  await first.rest()
})

t.test('through inject a stream is counted and let go of as well', async t => {
  const { service } = await start(t)
  const headers = { accept: 'text/event-stream' }
  for (let index = 0; index < 3; index++) {
    const response = await service.app.inject({ method: 'POST', url: '/api/chat', payload: { user_id: 'ann', message: 'Hello' }, headers })
    t.equal(response.statusCode, 200)
  }
})

async function address ({ app }: TestApp): Promise<string> {
  const bound = app.server.address()
  return typeof bound === 'object' && bound !== null ? `http://127.0.0.1:${bound.port}` : ''
}
