import t, { type Test } from 'tap'
import { startApp, type TestApp } from '../fixtures/app.ts'
import { EventClient } from '../fixtures/event-client.ts'

const BODY = { user_id: 'ann', message: 'Hello' }
const KEY = { 'idempotency-key': 'key-1' }

interface EndedSession {
  readonly t: Test
  readonly service: TestApp
  readonly end: (sessionId: string) => Promise<unknown>
}

/** Whether neither the events nor the answer of an ended session can be had again. */
async function checkForgotten ({ t, service, end }: EndedSession): Promise<void> {
  const url = `${await service.listen()}/api/chat`
  const client = await EventClient.open(url, BODY, KEY)
  const events = await client.rest()
  const sessionId = events[0]?.data.session_id ?? ''
  const named = await service.chat({ ...BODY, session_id: sessionId }, KEY)
  t.equal(named.status, 200)
  const again = { 'last-event-id': events[0]?.id ?? '' }
  t.match(await service.chat(BODY, again), { status: 200 })
  await end(sessionId)
  t.match(await service.chat(BODY, again), { status: 409, body: { code: 'STREAM_GONE' } })
  t.match(await service.chat({ ...BODY, session_id: sessionId }, KEY), { status: 404 })
  const answer = await service.chat(BODY, KEY)
  t.notMatch(answer.headers, { 'idempotency-replayed': 'true' })
  t.not(answer.body.session_id, sessionId)
}

t.test('a session that is deleted leaves neither its events nor its answers', async t => {
  const service = await startApp(t)
  await checkForgotten({ t, service, end: async id => await service.request({ method: 'DELETE', url: `/api/sessions/${id}` }) })
})

t.test('a session that /new ends leaves neither, and /new with a key starts one session', async t => {
  const service = await startApp(t)
  await checkForgotten({ t, service, end: async () => await service.say('/new') })
  const fresh = { user_id: 'ann', message: '/new' }
  const first = await service.chat(fresh, { 'idempotency-key': 'new' })
  t.match(await service.chat(fresh, { 'idempotency-key': 'new' }), { headers: { 'idempotency-replayed': 'true' }, body: first.body })
})

t.test('a session that the sweep removes leaves neither', async t => {
  let now = Date.now()
  // The session is silent for longer than a minute, and its events are kept for five.
  const service = await startApp(t, { now: () => now, env: { SESSION_TIMEOUT_MINUTES: '1', CLEANUP_INTERVAL_MINUTES: '0.001' } })
  const { turnDesk } = service.app
  const { forget } = turnDesk
  const end = async (): Promise<void> => {
    now += 61_000
    await new Promise<void>(resolve => {
      turnDesk.forget = sessionIds => {
        forget.call(turnDesk, sessionIds)
        resolve()
      }
    })
  }
  await checkForgotten({ t, service, end })
})
