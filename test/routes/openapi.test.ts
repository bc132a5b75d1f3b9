import t, { type Test } from 'tap'
import type { PlacedOperation } from '../fixtures/api-document.ts'
import { startApp, type TestApp } from '../fixtures/app.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'
import { putIds, Replay, type Ids } from '../fixtures/replay.ts'

/** The state that a body needs: one with a question that waits, or with a session. */
async function prepare (service: TestApp, example: string, operationId: string, value: object): Promise<Ids> {
  const { user_id, platform }: { user_id?: string, platform?: string } = value
  const person = { user_id, ...(platform !== undefined && { platform }) }
  await service.chat({ ...person, message: '/new' })
  const isDecision = operationId === 'approve' || example.endsWith('in_words')
  const { body } = await service.chat({ ...person, message: isDecision ? 'note: buy milk' : 'Hello' })
  return { session: body.session_id, approval: body.approval_data?.approval_id ?? '' }
}

function listBodies ({ operation }: PlacedOperation): Array<[string, object]> {
  return Object.entries(operation.requestBody?.content['application/json']?.examples ?? {}).map(([name, { value }]) =>
    [name, typeof value === 'object' && value !== null ? value : {}])
}

t.test('every body in the document is answered as it says, as JSON and as a stream', async t => {
  const service = await startApp(t)
  const replay = await Replay.start(service)
  for (const id of ['chat', 'approve']) {
    const place = replay.place(id)
    for (const [name, value] of listBodies(place)) {
      for (const accept of ['application/json', 'text/event-stream']) {
        const body = putIds(JSON.stringify(value), await prepare(service, name, id, value))
        const { status, problem, headers, text, body: answer } = await replay.send(place, { body, headers: { accept } })
        t.equal(status, 200, `${id} ${name} ${accept}`)
        t.equal(problem, '')
        t.ok(headers.get('content-type')?.startsWith(accept))
        const last = accept === 'application/json' ? answer : checkStream(t, replay, text)
        t.match(last, { status: name === 'needs_approval' ? 'waiting_approval' : 'completed' }, `${id} ${name}`)
      }
    }
  }
})

/** The data of the last event. */
function checkStream (t: Test, replay: Replay, text: string): unknown {
  const schemas = replay.document.operation('chat').responses['200']?.content?.['text/event-stream']?.['x-events'] ?? {}
  const events = [...text.matchAll(/^event: (.*)\ndata: (.*)$/gm)].map(([, name = '', data = '']) => ({ name, data: JSON.parse(data) }))
  for (const { name, data } of events) t.equal(replay.document.refuse(schemas[name] ?? {}, data), '', name)
  t.ok(events.every(({ name }) => Object.hasOwn(schemas, name)), 'each event is described')
  t.equal(events.at(-1)?.name, 'message')
  return events.at(-1)?.data
}

t.test('the document\'s own stream is one of the events that it describes', async t => {
  const service = await startApp(t)
  const replay = await Replay.start(service)
  const example = replay.document.operation('approve').responses['200']?.content?.['text/event-stream']?.examples?.completed
  t.match(checkStream(t, replay, String(example?.value)), { status: 'completed' })
})

t.test('every parameter in the document is taken as it says', async t => {
  const service = await startApp(t)
  const replay = await Replay.start(service)
  const { body: { session_id } } = await service.chat({ user_id: 'test_123', message: 'Hello' })
  await service.chat({ user_id: 'telegram_12345', message: 'Hello' })
  const message = (await service.get(`/api/sessions/${session_id}/messages`)).body.messages[0]?.id ?? ''
  const cursor = (await service.get('/api/sessions?limit=1')).body.next_cursor ?? ''
  const ids = { session: session_id, message, cursor }
  for (const place of replay.document.operations.filter(({ method }) => method === 'GET')) {
    const { operation } = place
    const path = replay.fillPath(place, ids)
    const queries = [{}, ...replay.options(operation, 'query', ids).map(([name, value]) => ({ [name]: value }))]
    const requests = [...queries.map(query => ({ path, query })), ...replay.options(operation, 'header', ids).map(([name, value]) => ({ path, headers: { [name]: value } }))]
    for (const request of requests) {
      const { status, problem } = await replay.send(place, request)
      t.equal(status, operation.operationId === 'docs' ? 302 : 200, `${operation.operationId} ${JSON.stringify(request)}`)
      t.equal(problem, '')
    }
  }
  const gone = replay.place('deleteSession')
  t.match(await replay.send(gone, { path: replay.fillPath(gone, ids) }), { status: 200, problem: '' })
})

t.test('the headers in the document do what it says', async t => {
  const service = await startApp(t)
  const replay = await Replay.start(service)
  const chat = replay.place('chat')
  const body = { user_id: 'test_123', message: 'Hello' }
  const headers = Object.fromEntries(replay.options(chat.operation, 'header', {}))
  t.same(Object.keys(headers).sort(), ['X-Request-ID', 'idempotency-key', 'last-event-id'])
  const key = { 'idempotency-key': headers['idempotency-key'] ?? '', 'x-request-id': headers['X-Request-ID'] ?? '' }
  const first = await replay.send(chat, { body, headers: key })
  const second = await replay.send(chat, { body, headers: key })
  t.same([first.status, first.headers.get('idempotency-replayed'), second.status, second.headers.get('idempotency-replayed')], [200, null, 200, 'true'])
  t.equal(first.headers.get('x-request-id'), headers['X-Request-ID'])
  const stream = await replay.send(chat, { body, headers: { accept: 'text/event-stream' } })
  const event = /^id: (.*)$/m.exec(stream.text)?.[1] ?? ''
  const [, lastEventId = ''] = replay.options(chat.operation, 'header', { event }).find(([name]) => name === 'last-event-id') ?? []
  const rest = await replay.send(chat, { body, headers: { accept: 'text/event-stream', 'last-event-id': lastEventId } })
  t.match(rest, { status: 200, problem: '' })
  t.notMatch(rest.text, 'event: session', 'it goes on after the event')
})

t.test('a running turn is cancelled as the document says', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const replay = await Replay.start(service)
  const { body: { session_id } } = await service.say('Hello')
  const { asked } = provider.hold('Done')
  const running = replay.send(replay.place('chat'), { body: { user_id: 'ann', message: 'Slow' } })
  await asked.opened
  const cancel = replay.place('cancelTurn')
  t.match(await replay.send(cancel, { path: replay.fillPath(cancel, { session: session_id }) }), { status: 200, problem: '', body: { status: 'cancelled' } })
  t.match(await running, { status: 409, problem: '', body: { code: 'TURN_CANCELLED' } })
})
