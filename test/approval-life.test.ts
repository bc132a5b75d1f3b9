import t from 'tap'
import type { JsonObject } from '../src/sessions/session.ts'
import { startApp, type TestApp } from './fixtures/app.ts'
import { makeFolder } from './fixtures/folder.ts'

const MINUTE_MS = 60_000

async function readLog (service: TestApp): Promise<JsonObject[]> {
  const [session] = (await service.get('/api/sessions/ann')).body.sessions
  const own: unknown = session?.metadata.holdline
  return own === undefined ? [] : JSON.parse(JSON.stringify(own)).decisions
}

/** A service whose questions live for ten minutes, and its clock. */
async function startWithLife (t: Parameters<typeof startApp>[0], dir = makeFolder(t)) {
  const clock = { nowMs: Date.now() }
  const service = await startApp(t, { dir, env: { APPROVAL_TIMEOUT_MINUTES: '10' }, now: () => clock.nowMs })
  return { service, clock, dir }
}

t.test('a question says when it expires, and is answered until then', async t => {
  const { service, clock } = await startWithLife(t)
  const { body } = await service.say('note: one')
  t.equal(Date.parse(body.approval_data?.expires_at ?? '') - Date.parse(body.approval_data?.requested_at ?? ''), 10 * MINUTE_MS)
  clock.nowMs += 10 * MINUTE_MS - 1
  t.match((await service.say('yes')).body.message, 'Saved the note: one')
})

t.test('an expired question is told to the agent and, with the next message, to the person, once', async t => {
  const { service, clock } = await startWithLife(t)
  const { body: { session_id } } = await service.say('note: one')
  clock.nowMs += 10 * MINUTE_MS
  const next = await service.say('Hello')
  t.match(next.body, { status: 'completed', message: 'Nobody answered in time, so this was not done: Save the note "one"\n\nYou said: Hello' })
  t.match((await service.say('again')).body.message, /^You said: again/)
  const { messages } = (await service.get(`/api/sessions/${session_id}/messages`)).body
  t.match(messages[2], { role: 'tool', content: /expired/ })
  t.match((await service.say('notes')).body.message, /no notes/)
  t.match(await readLog(service), [{ what: 'save_note', decision: 'expired', via: 'timeout' }])
})

t.test('a yes that comes too late is told so, and decides nothing', async t => {
  const { service, clock } = await startWithLife(t)
  await service.say('note: one')
  clock.nowMs += 10 * MINUTE_MS
  t.match(await service.say('yes'), { status: 409, body: { code: 'APPROVAL_EXPIRED', message: /not done: Save the note "one"/, status: 'error' } })
  t.match((await service.say('Hello')).body.message, /^You said: Hello/, 'the person knows')
  t.match((await service.say('notes')).body.message, /no notes/)
})

t.test('a program\'s decision that comes too late gets 409, and the person is told all the same', async t => {
  const { service, clock } = await startWithLife(t)
  const { body: { session_id } } = await service.say('note: one')
  clock.nowMs += 10 * MINUTE_MS
  t.match(await service.approve({ user_id: 'ann', session_id, approved: true }), { status: 409, body: { code: 'APPROVAL_EXPIRED' } })
  t.match(await service.approve({ user_id: 'ann', session_id, approved: true }), { status: 409, body: { code: 'APPROVAL_NOT_PENDING' } })
  t.match((await service.say('Hello')).body.message, /^Nobody answered in time, so this was not done: save_note/)
})

t.test('a question expires across a restart', async t => {
  const dir = makeFolder(t)
  const first = await startWithLife(t, dir)
  await first.service.say('note: one')
  await first.service.app.close()
  const { service, clock } = await startWithLife(t, dir)
  clock.nowMs += 10 * MINUTE_MS
  t.match((await service.say('Hello')).body.message, /^Nobody answered in time/)
})

t.test('a session remembers its last twenty decisions: what, which, when, by whom, how', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('note: one', { metadata: { plan: 'gold' } })
  await service.say('yes')
  await service.say('note: two')
  await service.approve({ user_id: 'ann', session_id, approved: true, edited_args: { text: 'zwei' } })
  await service.say('note: three')
  await service.say('reject: no need')
  t.match(await readLog(service), [
    { what: 'save_note', decision: 'approve', by: 'api_ann', via: 'chat', at: /^20/, approval_id: String },
    { what: 'save_note', decision: 'edit', by: 'api_ann', via: 'approve' },
    { what: 'save_note', decision: 'reject', via: 'chat' }
  ])
  for (let count = 0; count < 20; count++) {
    await service.say('note: more')
    await service.say('yes')
  }
  const log = await readLog(service)
  t.equal(log.length, 20)
  t.notMatch(JSON.stringify(log), /one|more|need/, 'and never with what arguments or why')
  const big = 'x'.repeat(16 * 1024 - 40)
  t.equal((await service.say('Hello', { metadata: { big } })).status, 200, 'the log does not count as the client\'s')
  t.match((await service.get('/api/sessions/ann')).body.sessions[0]?.metadata, { plan: 'gold', big })
})
