import t from 'tap'
import { startApp } from './fixtures/app.ts'
import { watchStore } from './fixtures/store-calls.ts'

const RATE = { RATE_LIMIT_MAX: '1000' }

t.test('a turn asks as little of the store as its promises allow: six times, each of which is a query where that is a database', async t => {
  let now = Date.now()
  const service = await startApp(t, { env: RATE, now: () => now })
  const { take } = watchStore(service)
  const { body: { session_id } } = await service.say('Hello')
  t.same(take(), ['rate', 'findLatest', 'continueOrCreate', 'lock', 'release'], 'the first message of a person')

  now += 60_000
  await service.say('Hello again')
  t.same(take(), ['rate', 'findLatest', 'lock', 'update', 'release'], 'a message')
  now += 60_000
  await service.say('By its session', { session_id })
  t.same(take(), ['get', 'rate', 'lock', 'update', 'release'], 'a message that names its session')
  now += 60_000
  await service.say('On its platform', { session_id, platform: 'api' })
  t.same(take(), ['rate', 'get', 'lock', 'update', 'release'], 'one that names the platform, too')

  now += 60_000
  const { body: { approval_data: asked } } = await service.say('note: one')
  t.same(take(), ['rate', 'findLatest', 'lock', 'update', 'update', 'release'], 'a message that the agent asks back on')
  now += 60_000
  await service.approve({ user_id: 'ann', session_id, approved: true, approval_id: asked?.approval_id })
  t.same(take(), ['get', 'rate', 'lock', 'update', 'update', 'release'], 'a decision')
  await service.say('note: two')
  take()
  now += 60_000
  await service.say('yes')
  t.same(take(), ['rate', 'findLatest', 'lock', 'update', 'update', 'release'], 'a decision in words')
})

t.test('without a limit nothing is counted, and what a message names is looked for once all the same', async t => {
  const service = await startApp(t)
  const { body: { session_id } } = await service.say('Hello')
  const { take } = watchStore(service)
  await service.say('Hello', { session_id })
  t.same(take(), ['get', 'lock', 'release'])
  await service.request({ method: 'DELETE', url: `/api/sessions/${session_id}` })
  t.same(take(), ['get', 'lock', 'delete', 'release'])
})
