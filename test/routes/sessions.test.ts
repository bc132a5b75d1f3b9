import t from 'tap'
import { startApp } from '../fixtures/app.ts'
import { makeFolder } from '../fixtures/folder.ts'

t.test('a person\'s sessions are found by the literal id, else by the normalised one', async t => {
  const service = await startApp(t)
  const telegram = await service.chat({ user_id: '5', platform: 'telegram', message: 'Hello' })
  const api = await service.chat({ user_id: '5', message: 'Hello' })
  t.match((await service.get('/api/sessions/telegram_5')).body, { user_id: 'telegram_5', sessions: [{ session_id: telegram.body.session_id }] })
  t.match((await service.get('/api/sessions/5')).body, { user_id: 'api_5', sessions: [{ session_id: api.body.session_id }] })
  t.match((await service.get('/api/sessions/5?platform=telegram')).body, { user_id: 'telegram_5', sessions: [{ session_id: telegram.body.session_id }] })
  t.same((await service.get('/api/sessions/nobody')).body, { user_id: 'api_nobody', sessions: [] })
  const long = '漢'.repeat(256)
  await service.chat({ user_id: long, message: 'Hello' })
  t.equal((await service.get(`/api/sessions/${encodeURIComponent(long)}`)).body.sessions.length, 1)
})

t.test('a session is shown with every field of the contract', async t => {
  const service = await startApp(t)
  await service.say('Hello', { metadata: { a: { b: [1, null] } } })
  const [session] = (await service.get('/api/sessions/ann')).body.sessions
  t.same(Object.keys(session ?? {}).sort(), [
    'created_at', 'has_pending_approval', 'last_activity', 'metadata', 'pending_approval', 'platform', 'session_id', 'thread_id', 'user_id'
  ])
  t.match(session, { user_id: 'api_ann', platform: 'api', has_pending_approval: false, pending_approval: null, metadata: { a: { b: [1, null] } } })
  t.match(session?.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
})

t.test('a walk over the pages meets every session, longest silent first', async t => {
  let now = Date.now()
  const service = await startApp(t, { now: () => now })
  for (let index = 0; index < 7; index++) {
    now += 1000
    await service.chat({ user_id: String(index), platform: index % 2 === 0 ? 'telegram' : 'api', message: 'Hello' })
  }
  const met: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { body } = await service.get(`/api/sessions?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`)
    t.equal(body.count, 7, 'count is all that match')
    met.push(...body.active_sessions.map(session => session.user_id))
    cursor = body.next_cursor
  }
  t.same(met, ['telegram_0', 'api_1', 'telegram_2', 'api_3', 'telegram_4', 'api_5', 'telegram_6'])
  t.equal((await service.get('/api/sessions?platform=telegram')).body.count, 4)
  t.equal((await service.get('/api/sessions?pending=true')).body.count, 0)
  t.equal((await service.get('/api/sessions?pending=false&limit=1000')).body.count, 7)
  t.same((await service.get('/api/sessions/count')).body, { count: 7, pending_approvals: 0, by_platform: { telegram: 4, api: 3 } })
})

t.test('a query that cannot be meant is refused with the name of the field', async t => {
  const service = await startApp(t)
  for (const [query, field] of [['limit=0', 'limit'], ['limit=1001', 'limit'], ['limit=x', 'limit'], ['pending=yes', 'pending'], ['platform=A', 'platform'], ['cursor=%00', 'cursor']]) {
    t.match(await service.get(`/api/sessions?${query}`), { status: 400, body: { code: 'REQUEST_INVALID', message: new RegExp(String(field)) } }, `${query}`)
  }
})

t.test('what was said is paged, oldest first, with tool calls', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('Hello')
  await service.say('what time is it?')
  const all = (await service.get(`/api/sessions/${session_id}/messages`)).body
  t.same(all.messages.map(message => message.role), ['user', 'assistant', 'user', 'assistant', 'tool', 'assistant'])
  t.match(all.messages[3]?.tool_calls, [{ name: 'current_time' }])
  t.equal(all.next_cursor, null)
  const first = (await service.get(`/api/sessions/${session_id}/messages?limit=4`)).body
  const second = (await service.get(`/api/sessions/${session_id}/messages?limit=4&cursor=${first.next_cursor}`)).body
  t.same([...first.messages, ...second.messages], all.messages)
  t.equal(second.next_cursor, null)
  t.match(await service.get(`/api/sessions/${session_id}/messages?cursor=unknown`), { status: 400, body: { message: /cursor/ } })
  t.match(await service.get('/api/sessions/unknown/messages'), { status: 404, body: { code: 'SESSION_NOT_FOUND' } })
})

t.test('a deleted session takes its conversation along', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('Hello')
  const [session] = (await service.get('/api/sessions/ann')).body.sessions
  const remove = async () => await service.request({ method: 'DELETE', url: `/api/sessions/${session_id}`, headers: { 'content-type': 'application/json' } })
  t.match(await remove(), { status: 200, body: { status: 'deleted', session_id } })
  t.match(await remove(), { status: 404, body: { code: 'SESSION_NOT_FOUND' } })
  t.same(await service.app.agent.history(session?.thread_id ?? ''), [])
  t.same((await service.get('/api/sessions/ann')).body.sessions, [])
})

t.test('KEEP_CONVERSATIONS leaves the conversation of a deleted session where it is', async t => {
  const service = await startApp(t, { env: { KEEP_CONVERSATIONS: 'true' } })
  const { body: { session_id } } = await service.say('Hello')
  const [session] = (await service.get('/api/sessions/ann')).body.sessions
  await service.request({ method: 'DELETE', url: `/api/sessions/${session_id}` })
  t.equal((await service.app.agent.history(session?.thread_id ?? '')).length, 2)
})

t.test('reading is no activity', async t => {
  let now = Date.now()
  const service = await startApp(t, { now: () => now })
  const { body: { session_id } } = await service.say('Hello')
  const before = (await service.get('/api/sessions/ann')).body.sessions[0]?.last_activity
  now += 60_000
  await service.get(`/api/sessions/${session_id}/messages`)
  await service.get('/api/sessions')
  t.equal((await service.get('/api/sessions/ann')).body.sessions[0]?.last_activity, before)
})

t.test('an id that only a loaded file may hold is accepted on every route', async t => {
  const nowMs = Date.now()
  const time = new Date(nowMs).toISOString()
  const dir = makeFolder(t, {
    'sessions.csv': `session_id,user_id,platform,thread_id,created_at,last_activity,pending_approval,metadata\na:b.c_d-1,api_ann,api,T.1,${time},${time},,{}\n`
  })
  const service = await startApp(t, { dir, now: () => nowMs })
  t.match((await service.say('Hello', { session_id: 'a:b.c_d-1' })).body, { session_id: 'a:b.c_d-1' })
  t.equal((await service.get('/api/sessions/a:b.c_d-1/messages')).body.messages.length, 2)
  t.equal((await service.request({ method: 'DELETE', url: '/api/sessions/a:b.c_d-1' })).status, 200)
})
