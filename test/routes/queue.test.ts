import t, { type Test } from 'tap'
import { ServiceError } from '../../src/errors.ts'
import { startApp, type TestApp } from '../fixtures/app.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'
import { makeSession } from '../fixtures/sessions.ts'

/** Resolves when so many more have joined a queue from now on. */
async function waitForQueue ({ app }: TestApp, count: number): Promise<void> {
  const { sessionStore: store } = app
  const { lock } = store
  const joined = makeGate()
  let left = count
  store.lock = async (...args) => {
    const held = lock.apply(store, args)
    left--
    if (left === 0) joined.open()
    return await held
  }
  await joined.opened
  store.lock = lock
}

type End = (service: TestApp, sessionId: string) => Promise<unknown>

/** `end` is queued behind a turn, and three messages behind it; two more come while the conversation is being forgotten. */
async function endWithWaiters (t: Test, maxQueued: number, end: End, hasAnother = false): Promise<readonly [number[], string[]]> {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: { ...provider.env, MAX_QUEUED_TURNS: String(maxQueued) } })
  const { body: { session_id } } = await service.say('Hello')
  const lastActivityMs = Date.now() - 60_000
  if (hasAnother) await service.app.sessionStore.create(makeSession({ userId: 'api_ann', platform: 'api', createdAtMs: lastActivityMs, lastActivityMs }))
  const { asked, answered } = provider.hold('Done')
  const running = service.say('Slow')
  await asked.opened
  const queue = async <T>(ask: () => Promise<T>): Promise<{ answer: Promise<T> }> => {
    const joined = waitForQueue(service, 1)
    const answer = ask()
    await joined
    return { answer }
  }
  const ended = await queue(async () => await end(service, session_id))
  const say = async (message: string) => await queue(async () => await service.say(message))
  const waiting = [await say('A'), await say('B'), await say('C')]
  const { agent } = service.app
  const { forget } = agent
  const forgetting = makeGate()
  const forgot = makeGate()
  agent.forget = async threadId => {
    forgetting.open()
    await forgot.opened
    await forget.call(agent, threadId)
  }
  answered.open()
  await forgetting.opened
  const late = [await say('D'), await say('E')]
  forgot.open()
  await Promise.all([running, ended.answer])
  const answers = await Promise.all([...waiting, ...late].map(async ({ answer }) => await answer))
  t.equal(new Set(answers.map(({ body }) => body.session_id)).size, 1)
  t.not(answers[0]?.body.session_id, session_id)
  const { body } = await service.get(`/api/sessions/${answers[0]?.body.session_id}/messages`)
  return [answers.map(({ status }) => status), body.messages.filter(({ role }) => role === 'user').map(({ content }) => content)]
}

t.test('who waits behind /new comes before who comes after it, and is not counted again', async t => {
  const [statuses, said] = await endWithWaiters(t, 4, async service => await service.say('/new'))
  t.same(statuses, [200, 200, 200, 200, 200])
  t.same(said, ['A', 'B', 'C', 'D', 'E'])
})

const end: End = async (service, sessionId) => await service.request({ method: 'DELETE', url: `/api/sessions/${sessionId}` })

t.test('who waits behind the end of a session comes before who comes after it', async t => {
  const [statuses, said] = await endWithWaiters(t, 5, end)
  t.same(statuses, [200, 200, 200, 200, 200])
  t.same(said, ['A', 'B', 'C', 'D', 'E'])
})

t.test('so it is where the person has another session, which goes on then', async t => {
  const [statuses, said] = await endWithWaiters(t, 5, end, true)
  t.same(statuses, [200, 200, 200, 200, 200])
  t.same(said, ['A', 'B', 'C', 'D', 'E'])
})

t.test('who waits behind a /new that fails goes on in the session that was to end, whichever others the person has', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: provider.env })
  const { body: { session_id } } = await service.say('Hello')
  const { sessionStore: store } = service.app
  const other = makeSession({ userId: 'api_ann', platform: 'api', lastActivityMs: Date.now() - 60_000 })
  await store.create(other)
  const { asked, answered } = provider.hold('Done')
  const running = service.say('Slow')
  await asked.opened
  const queue = async (message: string) => {
    const joined = waitForQueue(service, 1)
    const answer = service.say(message)
    await joined
    return { answer }
  }
  const fresh = await queue('/new')
  const waiting = await queue('A')
  store.create = async () => {
    await store.update(other.sessionId, session => ({ ...session, lastActivityMs: Date.now() + 1 }))
    throw new ServiceError('STORE_UNAVAILABLE')
  }
  answered.open()
  t.equal((await running).status, 200)
  t.match(await fresh.answer, { status: 503, body: { session_id } })
  t.match(await waiting.answer, { status: 200, body: { session_id } })
})
