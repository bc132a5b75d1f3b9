import { SimpleIntervalJob } from 'toad-scheduler'
import type { Test } from 'tap'
import { startApp, type Answer, type TestApp } from '../fixtures/app.ts'
import { EventClient, joinTokens } from '../fixtures/event-client.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'
import { Scrape } from '../fixtures/scrape.ts'

/** Makes the settings of a database of one test's own. */
export type MakeEnvironment = (t: Test) => Promise<Readonly<Record<string, string>>>

const REPLAYED = { 'idempotency-replayed': 'true' }

/** What holds for replicas of the service that share a store: a request may reach any of them. */
export function testReplicas (t: Test, makeEnvironment: MakeEnvironment): void {
  const start = async (t: Test, more: Readonly<Record<string, string>> = {}) => {
    const provider = await OpenAiServer.start(t)
    const env = { ...provider.env, ...await makeEnvironment(t), ...more }
    const [one, two] = [await startApp(t, { env }), await startApp(t, { env })]
    return { provider, env, one, two }
  }
  const readTexts = async (service: TestApp, sessionId: string, by = 'user'): Promise<string[]> => {
    const { body } = await service.get(`/api/sessions/${sessionId}/messages`)
    return body.messages.filter(({ role }) => role === by).map(({ content }) => content)
  }
  const ask = { toolCalls: [{ name: 'save_note', args: { text: 'milk' } }] }

  t.test('a conversation goes on at any of them, one turn after another, and its first messages make one session', async t => {
    const { provider, one, two } = await start(t, { MAX_QUEUED_TURNS: '100' })
    let running = 0
    let most = 0
    provider.answer = async () => {
      most = Math.max(most, ++running)
      await new Promise(resolve => setImmediate(resolve))
      running--
      return { text: 'Done' }
    }
    const texts = Array.from({ length: 20 }, (_, index) => `Message ${index}`)
    const answers = await Promise.all(texts.map(async (text, index) => await [one, two][index % 2]!.say(text)))
    t.same(answers.map(({ status }) => status), texts.map(() => 200))
    const sessionId = answers[0]?.body.session_id ?? ''
    t.equal(new Set(answers.map(({ body }) => body.session_id)).size, 1)
    t.equal(most, 1, 'never two at once')
    const said = await readTexts(two, sessionId)
    t.same([...said].sort(), [...texts].sort(), 'each once')
    t.equal(provider.requests.at(-1)?.body.messages.filter(({ role }) => role === 'user').length, 20, 'each knows those before it')
    for (const parity of [0, 1]) {
      const own = texts.filter((_, index) => index % 2 === parity)
      t.same(said.filter(text => own.includes(text)), own, 'in the order in which they came to a replica')
    }
  })

  t.test('a turn is cancelled at any of them', async t => {
    const { provider, one, two } = await start(t)
    const { body: { session_id } } = await one.say('Hello')
    const cancel = async () => await two.request({ method: 'POST', url: `/api/sessions/${session_id}/cancel` })
    t.match(await cancel(), { status: 409, body: { code: 'TURN_NOT_RUNNING' } })
    const reached = makeGate()
    provider.answer = () => {
      reached.open()
      return 'hang'
    }
    const turn = one.say('Think hard')
    await reached.opened
    provider.answer = () => ({ text: 'Done' })
    t.match(await cancel(), { status: 200, body: { status: 'cancelled', session_id } })
    t.match(await turn, { status: 409, body: { code: 'TURN_CANCELLED', session_id } })
    t.match(await two.say('And this'), { status: 200, body: { message: 'Done' } })
    t.same(await readTexts(one, session_id), ['Hello', 'And this'])
  })

  t.test('a client that lost its line goes on at any of them, while the turn runs and after, and starts none', async t => {
    const { provider, one, two } = await start(t)
    const [first, second] = [`${await one.listen()}/api/chat`, `${await two.listen()}/api/chat`]
    const body = { user_id: 'ann', message: 'Count' }
    const gate = makeGate()
    provider.answer = () => ({ text: 'One two three', pace: async index => { if (index === 1) await gate.opened } })
    const client = await EventClient.open(first, body)
    const [session, token] = [await client.next(), await client.next()]
    client.leave()
    const follow = async (url: string, id = session?.id ?? '', as: object = body) => {
      for (let looks = 1; ; looks++) {
        const again = await EventClient.open(url, as, { 'last-event-id': id })
        // Until the other one has written the first events, which it does within a moment.
        if (again.status !== 409 || looks === 100) return again
        await again.json()
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    }
    const again = await follow(second)
    t.equal(again.status, 200)
    t.same(await again.next(), token, 'the event that was sent before, once more')
    const json = two.chat(body, { 'last-event-id': session?.id ?? '' })
    gate.open()
    const live = await again.rest()
    t.same(live.map(({ name }) => name), ['token', 'token', 'message'])
    t.equal(joinTokens(live), 'two three')
    t.match(await json, { status: 200, body: { message: 'One two three' } })
    t.same(await (await follow(second, token?.id)).rest(), live, 'the same events, with the same ids')
    t.same(await (await follow(first, token?.id)).rest(), live)
    const another = await EventClient.open(second, { ...body, user_id: 'bob' }, { 'last-event-id': session?.id ?? '' })
    t.match([another.status, (await another.json()).code], [409, 'STREAM_GONE'], 'only the person whose turn it is')
    t.equal(provider.requests.length, 1)

    await two.request({ method: 'DELETE', url: `/api/sessions/${session?.data.session_id}` })
    for (const url of [first, second]) {
      const gone = await EventClient.open(url, body, { 'last-event-id': session?.id ?? '' })
      t.match([gone.status, (await gone.json()).code], [409, 'STREAM_GONE'], 'what was said in a session that ended is given to nobody')
    }
  })

  t.test('requests with one key at two of them are one turn, and both get what it comes to', async t => {
    const { provider, one, two } = await start(t)
    const key = (name: string) => ({ 'idempotency-key': name })
    const both = async (send: (service: TestApp) => Promise<Answer>): Promise<Answer> => {
      const answers = await Promise.all([send(one), send(two)])
      t.same(answers.map(({ status }) => status), [200, 200])
      t.equal(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true').length, 1)
      t.same([answers[0].body.message, answers[0].body.session_id], [answers[1].body.message, answers[1].body.session_id])
      return answers[0]
    }
    const hello = await both(async service => await service.chat({ user_id: 'ann', message: 'Hello' }, key('hello')))
    await both(async service => await service.say('By its id', { metadata: { message_id: 7 } }))
    t.same(await readTexts(one, hello.body.session_id), ['Hello', 'By its id'])
    t.equal(provider.requests.length, 2)
    const fresh = await both(async service => await service.chat({ user_id: 'ann', message: '/new' }, key('new')))
    t.not(fresh.body.session_id, hello.body.session_id)

    provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user' ? ask : { text: 'Saved' }
    const { body: { session_id } } = await one.say('Save it')
    const decision = { user_id: 'ann', session_id, approved: true }
    await both(async service => await service.approve(decision, key('decision')))
    for (const service of [one, two]) t.match(await service.approve(decision, key('decision')), { status: 200, headers: REPLAYED })
    t.match(await two.chat({ user_id: 'ann', message: 'Other' }, key('hello')), { status: 200 }, 'the session of that key has ended')
    const others = await Promise.all([one, two].map(async service => await service.approve({ ...decision, approved: false }, key('decision'))))
    t.same(others.map(({ body }) => body.code), ['IDEMPOTENCY_KEY_REUSED', 'IDEMPOTENCY_KEY_REUSED'])
  })

  t.test('a question that is answered at two of them at once is answered once', async t => {
    const { provider, one, two } = await start(t)
    provider.answer = ({ body }) => body.messages.at(-1)?.role === 'user' ? ask : { text: 'Saved' }
    for (let round = 0; round < 5; round++) {
      const { body: { session_id, approval_data: asked } } = await one.say('Save it', { user_id: `ann${round}` })
      const decide = async (service: TestApp, approved: boolean) =>
        await service.approve({ user_id: `ann${round}`, session_id, approved, approval_id: asked?.approval_id })
      const answers = await Promise.all([decide(one, true), decide(two, round % 2 === 0)])
      t.same(answers.map(({ status }) => status).sort(), [200, 409])
      t.match(answers.find(({ status }) => status === 409), { body: { code: 'APPROVAL_NOT_PENDING' } })
      const { body } = await two.get(`/api/sessions/${session_id}/messages`)
      t.equal(body.messages.filter(({ role }) => role === 'tool').length, 1)
    }
  })

  t.test('who waits at one of them while /new or an end comes at the other goes on in the next session', async t => {
    const { provider, one, two } = await start(t)
    const ends = [
      async () => await one.say('/new'),
      async (sessionId: string) => await one.request({ method: 'DELETE', url: `/api/sessions/${sessionId}` })
    ]
    for (const end of ends) {
      const { body: { session_id } } = await one.say('Hello')
      const { asked, answered } = provider.hold('Done')
      const slow = one.say('Slow')
      await asked.opened
      const queue = async (service: TestApp, send: () => Promise<Answer>): Promise<{ answer: Promise<Answer> }> => {
        const { waitingCount } = service.app.conversation
        const answer = send()
        while (service.app.conversation.waitingCount === waitingCount) await new Promise(resolve => { setImmediate(resolve) })
        return { answer }
      }
      const ending = await queue(one, async () => await end(session_id))
      const waiting = [await queue(two, async () => await two.say('A')), await queue(one, async () => await one.say('B'))]
      answered.open()
      await Promise.all([slow, ending.answer])
      const answers = await Promise.all(waiting.map(async ({ answer }) => await answer))
      t.same(answers.map(({ status }) => status), [200, 200])
      t.equal(answers[0]?.body.session_id, answers[1]?.body.session_id)
      t.not(answers[0]?.body.session_id, session_id)
      t.same((await readTexts(one, answers[0]?.body.session_id ?? '')).sort(), ['A', 'B'])
    }
  })

  t.test('a person has one count over all of them', async t => {
    const { one, two } = await start(t, { RATE_LIMIT_MAX: '3' })
    const left = async (service: TestApp) => (await service.say('Hello')).headers['x-ratelimit-remaining']
    t.same([await left(one), await left(two), await left(one)], ['2', '1', '0'])
    t.match(await two.say('Hello'), { status: 429, headers: { 'retry-after': String }, body: { code: 'RATE_LIMITED' } })
    t.match(await one.say('Hello', { user_id: 'bob' }), { status: 200, headers: { 'x-ratelimit-remaining': '2' } })
  })

  t.test('one of them sweeps', async t => {
    const { one, two } = await start(t)
    for (const { app } of [one, two, one, two]) {
      const job = app.scheduler.getById('session-cleanup')
      if (job instanceof SimpleIntervalJob) await job.executeAsync()
    }
    const sweeps = await Promise.all([one, two].map(async service => (await Scrape.take(service)).sum('holdline_sweeps_total', { outcome: 'completed' })))
    t.same(sweeps.sort(), [0, 2])
  })

  t.test('one that stops lets go of its sessions at once, and of its turns when they have ended', async t => {
    const { provider, one, two } = await start(t)
    const { body: { session_id } } = await one.say('Hello')
    const { asked, answered } = provider.hold('Done')
    const slow = one.say('Slow')
    await asked.opened
    const next = two.say('Next')
    const closing = one.app.close()
    answered.open()
    t.match(await slow, { status: 200, body: { message: 'Done' } })
    await closing
    t.match(await next, { status: 200, body: { session_id } })
    t.same(await readTexts(two, session_id), ['Hello', 'Slow', 'Next'])
  })
}
