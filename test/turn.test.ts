import t from 'tap'
import { readPendingApproval, claimApproval } from '../src/pending-approval.ts'
import { startApp, type TestApp } from './fixtures/app.ts'

/** What a crash leaves behind, put there by hand. */
async function leave (service: TestApp, sessionId: string, change: 'claimed' | 'none'): Promise<void> {
  await service.app.sessionStore.update(sessionId, session => {
    const approval = readPendingApproval(session.pendingApproval)
    return { ...session, pendingApproval: change === 'none' || approval === undefined ? null : claimApproval(approval, Date.now()) }
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
  let now = Date.now()
  const service = await startApp(t, { now: () => now, env: { AGENT_TIMEOUT_SECONDS: '0.0001' } })
  t.equal((await service.say('Hello')).status, 504)
  now += 59 * 60_000
  t.equal((await service.say('Hello')).status, 504)
  now += 59 * 60_000
  t.equal((await service.get('/api/sessions/ann')).body.sessions.length, 1)
})
