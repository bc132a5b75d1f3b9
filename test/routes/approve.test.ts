import t from 'tap'
import { startApp, type TestApp } from '../fixtures/app.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'

async function notesOf (service: TestApp): Promise<string> {
  return (await service.say('notes')).body.message
}

t.test('a guarded tool is asked about in a form that a bot and a person can answer', async t => {
  const service = await startApp(t)
  const { body } = await service.say('note: buy milk')
  t.match(body, {
    status: 'waiting_approval',
    requires_approval: true,
    approval_data: {
      type: 'approval_request',
      approval_id: String,
      tool_name: 'save_note',
      tool_call_id: /^call_/,
      args: { text: 'buy milk' },
      description: 'Save the note "buy milk"',
      allowed_decisions: ['approve', 'edit', 'reject'],
      requested_at: /Z$/
    }
  })
  t.match(body.message, /buy milk.*yes.*no/s)
  t.notOk('holdline' in (body.approval_data ?? {}), 'what the service keeps for itself is not shown')
  const [session] = (await service.get('/api/sessions/ann')).body.sessions
  t.equal(session?.has_pending_approval, true)
  t.same(session?.pending_approval, body.approval_data)
  t.equal((await service.get('/api/sessions?pending=true')).body.count, 1)
  t.equal((await service.get('/api/sessions/count')).body.pending_approvals, 1)
})

t.test('words decide: yes runs the tool once, no does not run it', async t => {
  const service = await startApp(t)
  await service.say('note: one')
  const yes = await service.say('Yes.')
  t.match(yes.body, { status: 'completed', message: /Saved the note: one/, approval_data: null })
  await service.say('note: two')
  t.match((await service.say('no')).body.status, 'completed')
  await service.say('note: three')
  t.match((await service.say('/reject not today')).body.message, 'not today', 'the agent is given the reason')
  t.equal(await notesOf(service), 'Your notes:\n1. one\n(offline model)')
})

t.test('any other text repeats the question and does not reach the agent', async t => {
  const service = await startApp(t)
  const asked = await service.say('note: one')
  const repeated = await service.say('No problem, go on')
  t.match(repeated.body, { status: 'waiting_approval', approval_data: { approval_id: asked.body.approval_data?.approval_id } })
  const { body } = await service.get(`/api/sessions/${asked.body.session_id}/messages`)
  t.same(body.messages.filter(message => message.role === 'user').map(message => message.content), ['note: one'])
})

t.test('PENDING_TEXT=reject makes any other text the reason of a rejection', async t => {
  const service = await startApp(t, { env: { PENDING_TEXT: 'reject' } })
  await service.say('note: one')
  t.match((await service.say('write two instead')).body, { status: 'completed', message: /write two instead/ })
  t.match(await notesOf(service), 'no notes')
})

t.test('a yes counts only for a question that was asked before it arrived', async t => {
  const provider = await OpenAiServer.start(t)
  const gate = makeGate()
  const reached = makeGate()
  provider.answer = async ({ body }) => {
    const last = body.messages.at(-1)
    if (last?.role === 'user') return { toolCalls: [{ name: 'save_note', args: { text: 'first' } }] }
    reached.open()
    await gate.opened
    return { toolCalls: [{ name: 'save_note', args: { text: 'second' } }] }
  }
  const service = await startApp(t, { env: provider.env })
  const first = await service.say('Save both')
  const yes = service.say('yes')
  await reached.opened
  const again = service.say('yes')
  gate.open()
  const second = await yes
  t.match(second.body, { status: 'waiting_approval', approval_data: { args: { text: 'second' } } })
  t.not(second.body.approval_data?.approval_id, first.body.approval_data?.approval_id)
  t.match((await again).body, { status: 'waiting_approval', approval_data: { approval_id: second.body.approval_data?.approval_id } })
})

t.test('approval_id says which question a message answers', async t => {
  const service = await startApp(t)
  t.match(await service.say('yes', { approval_id: 'none' }), { status: 409, body: { code: 'APPROVAL_NOT_PENDING', status: 'error' } })
  const { body } = await service.say('note: one')
  t.match(await service.say('yes', { approval_id: 'another' }), { status: 409, body: { code: 'APPROVAL_SUPERSEDED' } })
  t.match((await service.say('yes', { approval_id: body.approval_data?.approval_id })).body, { status: 'completed' })
})

t.test('/api/approve approves, edits and rejects', async t => {
  const service = await startApp(t)
  const ask = async (text: string) => {
    const { body } = await service.say(`note: ${text}`)
    return { user_id: 'ann', session_id: body.session_id, approval_id: body.approval_data?.approval_id }
  }
  t.match(await service.approve({ ...await ask('one'), approved: true }), { status: 200, body: { status: 'completed', message: /one/ } })
  t.match((await service.approve({ ...await ask('two'), approved: true, edited_args: { text: 'TWO' } })).body.message, 'TWO')
  t.match((await service.approve({ ...await ask('three'), approved: false, message: 'too many' })).body.message, 'too many')
  t.match((await service.approve({ ...await ask('four'), decisions: [{ type: 'edit', args: { text: 'FOUR' } }] })).body.message, 'FOUR')
  t.match((await service.approve({ ...await ask('five'), decisions: [{ type: 'reject', message: 'enough' }] })).body.message, 'enough')
  t.match((await service.approve({ ...await ask('six'), resume: { decisions: [{ type: 'approve' }] } })).body.message, 'six')
  const profiled = await service.approve({ ...await ask('seven'), approved: true, user_profile: { name: 'Ann' } })
  t.same(profiled.body.metadata.user_profile, { name: 'Ann' })
  t.equal(await notesOf(service), 'Your notes:\n1. one\n2. TWO\n3. FOUR\n4. six\n5. seven\n(offline model)')
})

t.test('a decision that does not fit leaves the question open and intact', async t => {
  const service = await startApp(t)
  const { body: asked } = await service.say('note: one')
  const base = { user_id: 'ann', session_id: asked.session_id }
  const misfits: object[] = [
    { decisions: [] },
    { decisions: [{ type: 'approve' }, { type: 'approve' }] },
    { decisions: [{ type: 'respond', message: 'hm' }] },
    { decisions: [{ type: 'edit' }] },
    { approved: true, edited_args: { text: 5 } },
    { approved: true, edited_args: {} },
    { approved: true, edited_args: { text: 'x', more: { lc: 1, type: 'constructor', id: ['langchain', 'nope', 'Nope'], kwargs: {} } } },
    { resume: null },
    { resume: 'yes' },
    { resume: { decisions: [{ type: 'edit', editedAction: { name: 'list_notes', args: {} } }] } }
  ]
  for (const misfit of misfits) {
    t.match(await service.approve({ ...base, ...misfit }), { status: 422, body: { code: 'DECISION_REFUSED', status: 'error' } }, JSON.stringify(misfit))
  }
  const malformed: [object, RegExp][] = [
    [{}, /approved, decisions, resume/],
    [{ approved: true, resume: {} }, /approved and resume/],
    [{ approved: 'yes' }, /approved/],
    [{ approved: false, edited_args: {} }, /edited_args/],
    [{ decisions: [{ type: 'maybe' }] }, /decisions\.0\.type/]
  ]
  for (const [body, field] of malformed) {
    t.match(await service.approve({ ...base, ...body }), { status: 400, body: { code: 'REQUEST_INVALID', message: field } }, JSON.stringify(body))
  }
  t.match((await service.approve({ ...base, approved: true, approval_id: asked.approval_data?.approval_id })).body, { status: 'completed' })
})

t.test('an unknown session and another person\'s cannot be told apart', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('note: one')
  const foreign = await service.approve({ user_id: 'bob', session_id, approved: true })
  const unknown = await service.approve({ user_id: 'bob', session_id: 'nowhere', approved: true })
  t.match(foreign, { status: 404, body: { code: 'SESSION_NOT_FOUND' } })
  t.equal(foreign.body.message, unknown.body.message)
  t.equal(unknown.status, 404)
  t.match((await service.say('hm')).body.status, 'waiting_approval')
})

t.test('of simultaneous decisions one wins, the others get 409, and the tool runs once', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('note: one')
  const answers = await Promise.all(Array.from({ length: 5 }, async () => await service.approve({ user_id: 'ann', session_id, approved: true })))
  t.same(answers.map(answer => answer.status).sort(), [200, 409, 409, 409, 409])
  t.equal(await notesOf(service), 'Your notes:\n1. one\n(offline model)')
  t.match(await service.approve({ user_id: 'ann', session_id, approved: true }), { status: 409, body: { code: 'APPROVAL_NOT_PENDING' } })
})

t.test('several actions are numbered, and a mixed decision does each as decided', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user'
    ? {
        text: 'I would save two notes.',
        toolCalls: [
          { name: 'save_note', args: { text: 'keep' } },
          { name: 'current_time', args: {} },
          { name: 'save_note', args: { text: 'drop' } }
        ]
      }
    : { text: 'Done' }
  const service = await startApp(t, { env: provider.env })
  const { body: asked } = await service.say('Save both')
  t.match(asked.approval_data?.actions, [{ tool_name: 'save_note', args: { text: 'keep' } }, { tool_name: 'save_note', args: { text: 'drop' } }])
  t.match(asked.message, /I would save two notes\..*1\. Save the note "keep"\n2\. Save the note "drop"/s)
  t.match((await service.say('approve 1')).body.status, 'waiting_approval', 'half a decision is none')
  t.match((await service.say('approve 1, reject 2: wrong date')).body, { status: 'completed', message: 'Done' })

  const sent = provider.requests.at(-1)?.body.messages ?? []
  const calls = sent.flatMap(message => message.tool_calls ?? [])
  const results = new Map(sent.filter(message => message.role === 'tool').map(message => [message.tool_call_id, String(message.content)]))
  t.equal(calls.length, 3)
  t.same(calls.filter(call => !results.has(call.id)), [], 'no call is left without its result')
  const resultOf = (text: string) => results.get(calls.find(call => call.function.arguments.includes(text))?.id)
  t.match(resultOf('keep'), 'Saved the note: keep')
  t.match(resultOf('drop'), 'wrong date')
  t.match(results.get(calls.find(call => call.function.name === 'current_time')?.id), /^\d{4}-/)
})

t.test('a model that fails after the tool ran does not lead to a second run', async t => {
  const provider = await OpenAiServer.start(t)
  provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user'
    ? { toolCalls: [{ name: 'save_note', args: { text: 'once' } }] }
    : { status: 400 }
  const service = await startApp(t, { env: provider.env })
  const { body: { session_id } } = await service.say('Save it')
  t.match(await service.say('yes'), { status: 502, body: { code: 'AGENT_FAILED' } })
  t.match(await service.approve({ user_id: 'ann', session_id, approved: true }), { status: 409 }, 'the question is answered')
  provider.answer = ({ body }) => ({ text: String(body.messages.find(message => message.role === 'tool')?.content) })
  t.match((await service.say('And?')).body.message, 'Saved the note: once', 'the result of the tool that ran is in the conversation')
})

t.test('notes are the person\'s: they outlive /new and DELETE, and nobody else sees them', async t => {
  const service = await startApp(t)
  await service.say('note: mine')
  await service.say('yes')
  const { body: { session_id } } = await service.say('/new')
  t.match(await notesOf(service), '1. mine')
  t.match(await service.request({ method: 'DELETE', url: `/api/sessions/${session_id}` }), { status: 200, body: { status: 'deleted', session_id } })
  t.match(await notesOf(service), '1. mine')
  t.match((await service.chat({ user_id: 'bob', message: 'notes' })).body.message, 'no notes')
  t.match((await service.chat({ user_id: 'ann', platform: 'slack', message: 'notes' })).body.message, 'no notes')
  // One normalised id, two people.
  await service.chat({ user_id: 'b_c', platform: 'a', message: 'note: secret' })
  await service.chat({ user_id: 'b_c', platform: 'a', message: 'yes' })
  t.match((await service.chat({ user_id: 'c', platform: 'a_b', message: 'notes' })).body.message, 'no notes')
})
