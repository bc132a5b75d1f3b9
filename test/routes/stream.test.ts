import { once } from 'node:events'
import { request } from 'node:http'
import t from 'tap'
import { startApp } from '../fixtures/app.ts'
import { EventClient, joinTokens } from '../fixtures/event-client.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'

const ANN = { user_id: 'ann' }

t.test('a turn is streamed as session, tokens, tool calls and their results, and then the answer that JSON would give', async t => {
  const service = await startApp(t)
  const url = await service.listen()
  const hello = await EventClient.open(`${url}/api/chat`, { ...ANN, message: 'Hello' }, { 'x-request-id': 'mine' })
  t.equal(hello.status, 200)
  t.match(hello.headers, {
    'content-type': /^text\/event-stream/, 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no', 'x-request-id': 'mine'
  })
  const events = await hello.rest()
  const answer = events.at(-1)?.data
  t.match(events[0], { name: 'session', data: { user_id: 'api_ann', platform: 'api', session_id: answer?.session_id } })
  t.match(events.at(-1), { name: 'message', data: { status: 'completed', message: /^You said: Hello/, requires_approval: false, approval_data: null } })
  t.equal(joinTokens(events), answer?.message)
  t.ok(events.filter(event => event.name === 'token').length > 5, 'word by word')
  t.equal(new Set(events.map(event => event.id)).size, events.length, 'each event has an id of its own')

  const asked = await (await EventClient.open(`${url}/api/chat`, { ...ANN, message: 'note: milk' })).rest()
  t.same(asked.map(event => event.name), ['session', 'tool_call', 'message'])
  t.match(asked[1], { data: { name: 'save_note', args: { text: 'milk' } } })
  t.match(asked[2], { data: { status: 'waiting_approval', approval_data: { args: { text: 'milk' } } } })
  t.notOk('holdline' in (asked[2]?.data.approval_data ?? {}), 'what the service keeps for itself is not shown')

  const approved = await (await EventClient.open(`${url}/api/approve`, { ...ANN, session_id: answer?.session_id, approved: true })).rest()
  t.match(approved.find(event => event.name === 'tool_result'), { data: { id: asked[1]?.data.id, name: 'save_note', content: 'Saved the note: milk' } })
  t.equal(joinTokens(approved), approved.at(-1)?.data.message)
})

t.test('the tokens are the message also where the agent is not run, and where the reply begins with a notice', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user' ? { toolCalls: [{ name: 'save_note', args: { text: 'x' } }] } : 'hang'
  const service = await startApp(t, { env: { ...provider.env, AGENT_TIMEOUT_SECONDS: '0.5' } })
  const url = await service.listen()
  await service.say('Save it')
  t.equal((await service.say('yes')).status, 504)
  provider.answer = () => ({ text: 'What else?' })
  const told = await (await EventClient.open(`${url}/api/chat`, { ...ANN, message: 'Hello?' })).rest()
  t.match(told.at(-1)?.data.message, /^Your last decision took effect.*\n\nWhat else\?$/s)
  t.equal(joinTokens(told), told.at(-1)?.data.message)
  const fresh = await (await EventClient.open(`${url}/api/chat`, { ...ANN, message: '/new' })).rest()
  t.same(fresh.map(event => event.name), ['session', 'token', 'message'])
  t.equal(joinTokens(fresh), fresh.at(-1)?.data.message)
})

t.test('events come as they happen, on a socket and through inject', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const url = await service.listen()
  const gates = [makeGate(), makeGate()]
  provider.answer = () => ({ text: 'One two', pace: async index => { if (index === 1) await gates[0]?.opened } })
  const client = await EventClient.open(`${url}/api/chat`, { ...ANN, message: 'Count' })
  t.match(await client.next(), { name: 'session' })
  t.match(await client.next(), { name: 'token', data: { text: 'One ' } })
  gates[0]?.open()
  t.same((await client.rest()).map(event => event.data.text ?? event.data.message), ['two', 'One two'])

  provider.answer = () => ({ text: 'One two', pace: async index => { if (index === 1) await gates[1]?.opened } })
  const payload = { ...ANN, message: 'Count' }
  const response = await service.app.inject({ method: 'POST', url: '/api/chat', payload, headers: { accept: 'text/event-stream' }, payloadAsStream: true })
  let text = ''
  for await (const chunk of response.stream()) {
    text += String(chunk)
    if (text.includes('"One "')) gates[1]?.open()
  }
  t.match(text, /event: message\ndata: .*"One two"/)
})

t.test('what is found before the turn begins is an ordinary error, whatever was asked for', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: { ...provider.env, API_KEY: 'key', MAX_QUEUED_TURNS: '1' } })
  const url = await service.listen()
  const open = async (body: object, path = 'chat', key = 'key') => {
    const client = await EventClient.open(`${url}/api/${path}`, body, { 'x-api-key': key })
    return { status: client.status, type: client.headers['content-type'], body: await client.json() }
  }
  const json = /^application\/json/
  t.match(await open({ ...ANN }), { status: 400, type: json, body: { code: 'REQUEST_INVALID', status: 'error' } })
  t.match(await open({ ...ANN, message: 'Hello' }, 'chat', 'wrong'), { status: 401, type: json, body: { code: 'KEY_REFUSED' } })
  t.match(await open({ ...ANN, message: 'Hello', session_id: 'nowhere' }), { status: 404, type: json, body: { code: 'SESSION_NOT_FOUND' } })
  provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user' ? { toolCalls: [{ name: 'save_note', args: { text: 'x' } }] } : { text: 'Done' }
  const { body: { session_id } } = await service.chat({ ...ANN, message: 'Save it' }, { 'x-api-key': 'key' })
  t.match(await open({ ...ANN, session_id, decisions: [] }, 'approve'), { status: 422, type: json, body: { code: 'DECISION_REFUSED' } })
  t.equal((await service.chat({ ...ANN, message: 'yes' }, { 'x-api-key': 'key' })).body.message, 'Done')
  t.match(await open({ ...ANN, session_id, approved: true }, 'approve'), { status: 409, type: json, body: { code: 'APPROVAL_NOT_PENDING' } })

  const { asked, answered } = provider.hold('Done')
  const running = service.chat({ ...ANN, message: '1' }, { 'x-api-key': 'key' })
  await asked.opened
  const waiting = service.chat({ ...ANN, message: '2' }, { 'x-api-key': 'key' })
  t.match(await open({ ...ANN, message: '3' }), { status: 429, type: json, body: { code: 'TURN_QUEUE_FULL' } })
  answered.open()
  t.same((await Promise.all([running, waiting])).map(answer => answer.status), [200, 200])
})

t.test('a turn that fails once it is streamed ends with an error event, which is the body of the error, and is logged', async t => {
  const provider = await OpenAiServer.start(t)
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { env: provider.env, logged })
  const url = await service.listen()
  provider.answer = () => ({ status: 400 })
  const client = await EventClient.open(`${url}/api/chat`, { ...ANN, message: 'Hello' }, { 'x-request-id': 'mine' })
  const events = await client.rest()
  t.same(events.map(event => event.name), ['session', 'error'])
  const body = { statusCode: 502, code: 'AGENT_FAILED', status: 'error', request_id: 'mine', requires_approval: false, approval_data: null, user_id: 'api_ann' }
  t.match(events[1]?.data, body)
  t.notMatch(JSON.stringify(events), 'SECRET')
  const [line, ...others] = logged.filter(line => line.code === 'AGENT_FAILED' && line.level === 50)
  t.match(JSON.stringify(line), /"type":"BadRequestError".*"status":400/, 'with its cause, which says in numbers what it was')
  t.notMatch(JSON.stringify(logged), 'SECRET')
  t.same(others, [])
})

t.test('a cancelled stream ends with an error event', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = () => 'hang'
  const service = await startApp(t, { env: provider.env })
  const url = await service.listen()
  const client = await EventClient.open(`${url}/api/chat`, { ...ANN, message: 'Hello' })
  const session = await client.next()
  t.equal((await service.request({ method: 'POST', url: `/api/sessions/${session?.data.session_id}/cancel` })).status, 200)
  t.match(await client.rest(), [{ name: 'error', data: { statusCode: 409, code: 'TURN_CANCELLED' } }])
})

t.test('a client that goes away does not stop the turn: it is finished and saved', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const url = await service.listen()
  const gate = makeGate()
  provider.answer = () => ({ text: 'One two', pace: async index => { if (index === 1) await gate.opened } })
  const connected = once(service.app.server, 'connection')
  const client = await EventClient.open(`${url}/api/chat`, { ...ANN, message: 'Count' })
  const session = await client.next()
  await client.next()
  const [socket] = await connected
  const closed = once(socket, 'close')
  client.leave()
  await closed
  const next = service.say('And then?')
  gate.open()
  provider.answer = () => ({ text: 'Three' })
  t.equal((await next).body.message, 'Three')
  const { body } = await service.get(`/api/sessions/${session?.data.session_id}/messages`)
  t.same(body.messages.map(message => message.content), ['Count', 'One two', 'And then?', 'Three'])
})

t.test('a silent line says that it is still there, also while a message waits for its turn', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env, heartbeatMs: 20 })
  const url = await service.listen()
  const { asked, answered } = provider.hold('Done')
  const first = await EventClient.open(`${url}/api/chat`, { ...ANN, message: '1' })
  t.match(await first.next(), { name: 'session' })
  t.match(await first.nextComment(), /^: /)
  t.match(await first.nextComment(), /^: /, 'again and again')
  await asked.opened
  const queued = await EventClient.open(`${url}/api/chat`, { ...ANN, message: '2' })
  t.equal(queued.status, 200)
  t.match(await queued.nextComment(), /^: /)
  answered.open()
  t.match((await first.rest()).at(-1), { name: 'message', data: { message: 'Done' } })
  t.match(await queued.rest(), [{ name: 'session' }, { name: 'token' }, { name: 'message', data: { message: 'Done' } }])
})

t.test('a client that leaves before its stream has a status is no failure of the service, and its turn is run', async t => {
  const provider = await OpenAiServer.start(t)
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { env: provider.env, logged })
  const url = `${await service.listen()}/api/chat`
  const { asked, answered } = provider.hold('Done')
  const running = service.say('1')
  await asked.opened
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream' }
  const sent = request(url, { method: 'POST', headers, agent: false }).on('error', () => {}).end(JSON.stringify({ ...ANN, message: '2' }))
  const [received, response] = await once(service.app.server, 'request')
  await once(received, 'end')
  sent.destroy()
  await once(response, 'close')
  answered.open()
  await running
  const isSettled = (): boolean => logged.some(({ msg }) => msg === 'The client has gone') && logged.filter(({ msg }) => msg === 'Turn ended').length === 2
  while (!isSettled()) await new Promise(resolve => setImmediate(resolve))
  t.same(logged.filter(({ level }) => Number(level) >= 40), [])
})

t.test('a stop while a stream is open gives Node.js nothing to warn of', async t => {
  const warnings: string[] = []
  const note = ({ message }: Error): void => { warnings.push(message) }
  process.on('warning', note)
  t.after(() => { process.off('warning', note) })
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const { asked, answered } = provider.hold('Done')
  const client = await EventClient.open(`${await service.listen()}/api/chat`, { ...ANN, message: 'Hello' })
  await asked.opened
  const closed = service.app.close()
  answered.open()
  t.equal((await client.rest()).at(-1)?.name, 'message')
  await closed
  t.same(warnings, [])
})
