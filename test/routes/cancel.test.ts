import t from 'tap'
import { startApp, type TestApp } from '../fixtures/app.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'

async function cancel (service: TestApp, sessionId: string) {
  return await service.request({ method: 'POST', url: `/api/sessions/${sessionId}/cancel` })
}

t.test('a cancelled turn ends with 409, its message is not in the conversation, and the queue goes on', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const { body: { session_id } } = await service.say('Hello')
  const reached = makeGate()
  provider.answer = () => {
    reached.open()
    return 'hang'
  }
  const cancelled = service.say('Think hard')
  await reached.opened
  const queued = service.say('And this')
  provider.answer = ({ body }) => ({ text: body.messages.filter(message => message.role === 'user').map(message => message.content).join('|') })
  t.match(await cancel(service, session_id), { status: 200, body: { status: 'cancelled', session_id } })
  t.match(await cancelled, { status: 409, body: { code: 'TURN_CANCELLED', status: 'error', session_id, user_id: 'api_ann' } })
  t.match(await queued, { status: 200, body: { message: 'Hello|And this' } })
})

t.test('when the cancel is answered, the turn has ended', async t => {
  const provider = await OpenAiServer.start(t)
  const reached = makeGate()
  provider.answer = () => {
    reached.open()
    return 'hang'
  }
  const service = await startApp(t, { env: provider.env })
  const turn = service.say('Think')
  await reached.opened
  const { sessions: [session] } = (await service.get('/api/sessions/ann')).body
  const id = session?.session_id ?? ''
  t.same((await Promise.all([cancel(service, id), cancel(service, id)])).map(answer => answer.status), [200, 200], 'two who cancel one turn are both told')
  t.same((await service.get(`/api/sessions/${id}/messages`)).body.messages, [])
  t.equal((await turn).status, 409)
})

t.test('nothing to cancel is 409, and an unknown session 404', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('Hello')
  t.match(await cancel(service, session_id), { status: 409, body: { code: 'TURN_NOT_RUNNING' } })
  t.match(await cancel(service, 'nowhere'), { status: 404, body: { code: 'SESSION_NOT_FOUND' } })
})

t.test('a cancel that comes while the reply is being saved comes too late, and says so', async t => {
  const service = await startApp(t)
  await service.say('note: one')
  const { sessionStore } = service.app
  const saving = makeGate()
  const go = makeGate()
  const update = sessionStore.update.bind(sessionStore)
  let saves = 0
  t.intercept(sessionStore, 'update', {
    value: async (...args: Parameters<typeof update>) => {
      // The first one claims the question, the second one keeps the reply.
      if (++saves === 2) {
        saving.open()
        await go.opened
      }
      return await update(...args)
    }
  })
  const turn = service.say('yes')
  await saving.opened
  const { sessions: [session] } = (await service.get('/api/sessions/ann')).body
  const late = cancel(service, session?.session_id ?? '')
  await new Promise(resolve => setImmediate(resolve))
  go.open()
  t.match(await turn, { status: 200, body: { message: /Saved the note: one/ } })
  t.match(await late, { status: 409, body: { code: 'TURN_NOT_RUNNING' } })
})

t.test('a cancelled decision counts as one that was cut off: its tool may have run, and the person is told', async t => {
  const provider = await OpenAiServer.start(t)
  const reached = makeGate()
  provider.answer = ({ body }) => {
    if (body.messages.at(-1)?.role === 'user') return { toolCalls: [{ name: 'save_note', args: { text: 'once' } }] }
    reached.open()
    return 'hang'
  }
  const service = await startApp(t, { env: provider.env })
  const { body: { session_id } } = await service.say('Save it')
  const decided = service.say('yes')
  await reached.opened
  t.equal((await cancel(service, session_id)).status, 200)
  t.match(await decided, { status: 409, body: { code: 'TURN_CANCELLED' } })
  provider.answer = ({ body }) => ({ text: String(body.messages.find(message => message.role === 'tool')?.content) })
  t.match((await service.say('And?')).body.message, /^Your last decision took effect.*Saved the note: once/s)
})
