import t from 'tap'
import { readPendingApproval, claimApproval } from '../src/pending-approval.ts'
import { startApp, type TestApp } from './fixtures/app.ts'
import { makeFolder } from './fixtures/folder.ts'
import { makeGate } from './fixtures/gate.ts'
import { OpenAiServer } from './fixtures/openai-server.ts'

/** What a crash leaves behind, put there by hand. */
async function leave (service: TestApp, sessionId: string, change: 'claimed' | 'none'): Promise<void> {
  await service.app.sessionStore.update(sessionId, session => {
    const approval = readPendingApproval(session.pendingApproval)
    return { ...session, pendingApproval: change === 'none' || approval === undefined ? null : claimApproval(approval, Date.now(), [approval.tool_call_id]) }
  })
}

t.test('an answer that was cut off is told, asked again under a new id, and never given by itself', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { logged })
  const { body: asked } = await service.say('note: one')
  await leave(service, asked.session_id, 'claimed')
  const told = await service.say('yes')
  t.match(told.body, { status: 'waiting_approval', message: /may or may not have happened/ })
  t.not(told.body.approval_data?.approval_id, asked.approval_data?.approval_id)
  t.match(logged.find(line => line.code === 'APPROVAL_OUTCOME_UNKNOWN'), { session_id: asked.session_id })
  t.match((await service.say('hm')).body.message, /may or may not have happened/, 'as long as the question stands')
  t.match((await service.say('yes')).body.message, 'Saved the note: one')
  t.match((await service.say('notes')).body.message, 'Your notes:\n1. one\n(offline')
})

t.test('a decision that comes by itself does not answer a question that was cut off', async t => {
  const service = await startApp(t)
  const { body: asked } = await service.say('note: one')
  await leave(service, asked.session_id, 'claimed')
  const decision = { user_id: 'ann', session_id: asked.session_id, approved: true }
  t.match(await service.approve(decision), { status: 409, body: { code: 'APPROVAL_OUTCOME_UNKNOWN', message: /may or may not have happened/ } })
  t.match(await service.approve({ ...decision, approval_id: asked.approval_data?.approval_id }), { status: 409 })
  const [session] = (await service.get('/api/sessions/ann')).body.sessions
  t.match(await service.approve({ ...decision, approval_id: session?.pending_approval?.approval_id }), { status: 200, body: { message: /one/ } })
})

t.test('a question that only the thread knows is asked before anything else', async t => {
  const service = await startApp(t)
  const { body: asked } = await service.say('note: one')
  await leave(service, asked.session_id, 'none')
  t.match((await service.say('yes')).body, { status: 'waiting_approval', approval_data: { args: { text: 'one' } } }, 'a yes to nothing approves nothing')
  t.match((await service.say('yes')).body.message, 'Saved the note: one')
})

t.test('a question that only the session knows is taken out, and the message reaches the agent', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('Hello')
  await service.app.sessionStore.update(session_id, session => ({ ...session, pendingApproval: { tool_name: 'apply_edit' } }))
  t.same((await service.get('/api/sessions/ann')).body.sessions[0]?.pending_approval, { tool_name: 'apply_edit' }, 'shown as it was loaded')
  t.match(await service.approve({ user_id: 'ann', session_id, approved: true }), { status: 409, body: { code: 'APPROVAL_NOT_PENDING' } })
  t.match((await service.say('yes')).body.message, 'You said: yes')
  t.equal((await service.get('/api/sessions/ann')).body.sessions[0]?.has_pending_approval, false)
})

t.test('a failed turn counts as activity', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = () => ({ status: 400 })
  let now = Date.now()
  const service = await startApp(t, { now: () => now, env: provider.env })
  t.equal((await service.say('Hello')).status, 502)
  now += 59 * 60_000
  t.equal((await service.say('Hello')).status, 502)
  now += 59 * 60_000
  t.equal((await service.get('/api/sessions/ann')).body.sessions.length, 1)
})

t.test('a person is told when a decision took effect and only the reply was lost', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user' ? { toolCalls: [{ name: 'save_note', args: { text: 'once' } }] } : 'hang'
  const service = await startApp(t, { env: { ...provider.env, AGENT_TIMEOUT_SECONDS: '0.5' } })
  await service.say('Save it')
  t.match(await service.say('yes'), { status: 504, body: { code: 'AGENT_TIMEOUT' } })
  provider.answer = () => ({ text: 'What else?' })
  t.match((await service.say('Hello?')).body, { status: 'completed', message: /^Your last decision took effect.*\n\nWhat else\?$/s })
  t.equal((await service.say('Thanks')).body.message, 'What else?', 'told once')
  t.equal((await service.get('/api/sessions/ann')).body.sessions[0]?.has_pending_approval, false)
})

t.test('a yes to a question that was decided while it waited reaches nobody', async t => {
  const provider = await OpenAiServer.start(t)
  const gate = makeGate()
  const reached = makeGate()
  provider.answer = async ({ body }) => {
    if (body.messages.at(-1)?.role === 'user') return { toolCalls: [{ name: 'save_note', args: { text: 'x' } }] }
    reached.open()
    await gate.opened
    return { text: 'Saved. Shall I delete all the others?' }
  }
  const service = await startApp(t, { env: provider.env })
  await service.say('Save it')
  const first = service.say('yes')
  await reached.opened
  const second = service.say('yes')
  gate.open()
  t.equal((await first).status, 200)
  t.match(await second, { status: 409, body: { code: 'APPROVAL_NOT_PENDING', status: 'error' } })
  t.equal(provider.requests.length, 2)
})

t.test('messages of one person keep their order while the session is still being made', async t => {
  const service = await startApp(t)
  const { sessionStore } = service.app
  const gate = makeGate()
  const made = makeGate()
  const create = sessionStore.continueOrCreate.bind(sessionStore)
  t.intercept(sessionStore, 'continueOrCreate', {
    configurable: true,
    value: async (...args: Parameters<typeof create>) => {
      const result = await create(...args)
      made.open()
      // The session is there for all to find, but the first message has yet to learn of it.
      await gate.opened
      return result
    }
  })
  const first = service.say('1')
  await made.opened
  const arrived = makeGate()
  const find = sessionStore.findLatest.bind(sessionStore)
  t.intercept(sessionStore, 'findLatest', {
    configurable: true,
    value: async (...args: Parameters<typeof find>) => {
      arrived.open()
      return await find(...args)
    }
  })
  const second = service.say('2')
  await arrived.opened
  await new Promise(resolve => setImmediate(resolve))
  gate.open()
  const [{ body: { session_id } }] = await Promise.all([first, second])
  const { body } = await service.get(`/api/sessions/${session_id}/messages`)
  t.same(body.messages.filter(message => message.role === 'user').map(message => message.content), ['1', '2'])
})

t.test('a person whose row holds a literal id continues it', async t => {
  const time = new Date().toISOString()
  const dir = makeFolder(t, { 'sessions.csv': `session_id,user_id,last_activity\nzz,ann,${time}\n` })
  const service = await startApp(t, { dir })
  t.match((await service.say('Hello')).body, { session_id: 'zz', user_id: 'ann' })
  t.match((await service.say('/new', { session_id: 'zz' })).body, { user_id: 'ann' })
  t.equal((await service.get('/api/sessions/count')).body.count, 1)
})

t.test('a message that answers no question makes no session', async t => {
  const service = await startApp(t)
  t.match(await service.say('yes', { approval_id: 'x' }), { status: 409 })
  t.equal((await service.get('/api/sessions/count')).body.count, 0)
})

t.test('what a model says cannot make a thread unreadable', async t => {
  const provider = await OpenAiServer.start(t)
  const poison = { lc: 1, type: 'constructor', id: ['langchain', 'nope', 'Nope'], kwargs: {} }
  provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user'
    ? { toolCalls: [{ name: 'save_note', args: { text: 'x', more: [poison] } }, { name: 'list_notes', args: { poison } }] }
    : { text: 'Done' }
  const service = await startApp(t, { env: provider.env })
  const { body } = await service.say('Hello')
  t.equal(body.status, 'waiting_approval')
  t.match((await service.say('yes')).body, { status: 'completed' })
  t.equal((await service.get(`/api/sessions/${body.session_id}/messages`)).status, 200)
  t.equal((await service.say('Again')).status, 200)
})

t.test('a provider that uses its ids again overwrites nothing', async t => {
  const provider = await OpenAiServer.start(t)
  provider.completionId = () => 'always-the-same'
  const service = await startApp(t, { env: provider.env })
  const { body } = await service.say('One')
  t.match((await service.say('Two')).body, { message: 'Hello from the provider.' })
  t.equal((await service.get(`/api/sessions/${body.session_id}/messages`)).body.messages.length, 4)
})

t.test('arguments that do not fit are the agent\'s to mend, and are not logged', async t => {
  const logged: Record<string, unknown>[] = []
  const provider = await OpenAiServer.start(t)
  provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user'
    ? { toolCalls: [{ name: 'save_note', args: { text: ['MY SECRET PIN'] } }] }
    : { text: String(body.messages.at(-1)?.content) }
  const service = await startApp(t, { env: provider.env, logged })
  t.match((await service.say('Hello')).body, { status: 'waiting_approval', message: /Save a note/ })
  t.match((await service.say('yes')).body, { status: 'completed', message: /do not fit/ })
  t.notMatch(JSON.stringify(logged), 'MY SECRET PIN')
})

t.test('a person is told of an action that was cut off when it cannot be asked about again', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { logged })
  const { body: asked } = await service.say('note: one')
  const kept = (await service.app.sessionStore.get(asked.session_id))?.pendingApproval ?? null
  await service.say('no')
  const approval = readPendingApproval(kept)
  if (approval === undefined) throw new Error('Nothing was kept')
  const pendingApproval = claimApproval(approval, Date.now(), ['a call that the thread does not know'])
  await service.app.sessionStore.update(asked.session_id, session => ({ ...session, pendingApproval }))
  t.match((await service.say('Hello')).body, { status: 'completed', message: /may or may not have happened.*You said: Hello/s })
  t.ok(logged.some(line => line.code === 'APPROVAL_OUTCOME_UNKNOWN'))
  t.notMatch((await service.say('Hello')).body.message, 'may or may not')
})
