import { SimpleIntervalJob } from 'toad-scheduler'
import t from 'tap'
import { startApp, type TestApp } from '../fixtures/app.ts'
import { makeGate } from '../fixtures/gate.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'
import { Scrape } from '../fixtures/scrape.ts'

async function sweep ({ app }: TestApp): Promise<void> {
  const job = app.scheduler.getById('session-cleanup')
  if (!(job instanceof SimpleIntervalJob)) throw new Error('The job is not scheduled')
  await job.executeAsync()
}

t.test('a sweep removes silent sessions, together with their conversations, and says how many', async t => {
  let now = Date.now()
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { now: () => now, logged })
  await service.chat({ user_id: 'ann', message: 'Hello' })
  const [ann] = (await service.get('/api/sessions/ann')).body.sessions
  now += 59 * 60_000
  await service.chat({ user_id: 'bob', message: 'Hello' })
  now += 2 * 60_000
  await sweep(service)
  t.ok(logged.some(line => line.msg === 'Cleaned up 1 expired sessions'))
  t.same(await service.app.agent.history(ann?.thread_id ?? ''), [])
  t.equal(await service.app.sessionStore.get(ann?.session_id ?? ''), undefined)
  t.equal((await service.get('/api/sessions/bob')).body.sessions.length, 1)
})

t.test('a sweep never removes a session whose turn is running', async t => {
  const provider = await OpenAiServer.start(t)
  const { asked, answered } = provider.hold('At last')
  let now = Date.now()
  const service = await startApp(t, { now: () => now, env: provider.env })
  const turn = service.say('Think hard')
  await asked.opened
  now += 61 * 60_000
  await sweep(service)
  const meanwhile = (await service.get('/api/sessions/ann')).body.sessions[0]?.session_id
  answered.open()
  const { status, body } = await turn
  t.match({ status, body }, { status: 200, body: { message: 'At last', session_id: meanwhile } })
  t.equal((await service.say('Thanks')).body.session_id, body.session_id)
})

t.test('conversations that no session refers to are swept once silent for a day', async t => {
  let now = Date.now()
  const service = await startApp(t, { now: () => now })
  const run = service.app.agent.turn({ threadId: 'orphan', text: 'Hello', person: { platform: 'api', userId: 'u' }, signal: AbortSignal.timeout(60_000) })
  for await (const event of run) t.equal(event.type, 'answer')
  await sweep(service)
  t.equal((await service.app.agent.history('orphan')).length, 2)
  now += 25 * 60 * 60_000
  await sweep(service)
  t.same(await service.app.agent.history('orphan'), [])
})

t.test('the conversation of a session that expired while the service was down is forgotten', async t => {
  let now = Date.now()
  const dir = (await startAndStop()).dir
  now += 2 * 60 * 60_000
  const service = await startApp(t, { dir, now: () => now })
  const [thread] = await service.app.agent.listThreads('', 10)
  await service.app.close()
  t.equal(thread === undefined || service.app.sessionLoad.report?.expiredThreads.includes(thread.threadId), true)
  t.equal(service.app.sessionLoad.report?.expired, 1)
  const again = await startApp(t, { dir, now: () => now })
  t.same(await again.app.agent.listThreads('', 10), [], 'closing waited for it')

  async function startAndStop (): Promise<TestApp> {
    const first = await startApp(t, { now: () => now })
    await first.say('Hello')
    await first.app.close()
    return first
  }
})

t.test('closing waits for a sweep in flight', async t => {
  let now = Date.now()
  const service = await startApp(t, { now: () => now })
  await service.say('Hello')
  now += 2 * 60 * 60_000
  const gate = makeGate()
  const reached = makeGate()
  const events: string[] = []
  const forget = service.app.agent.forget.bind(service.app.agent)
  t.intercept(service.app.agent, 'forget', {
    configurable: true,
    value: async (threadId: string) => {
      reached.open()
      await gate.opened
      await forget(threadId)
      events.push('swept')
    }
  })
  const sweeping = sweep(service)
  await reached.opened
  const closing = service.app.close().then(() => { events.push('closed') })
  gate.open()
  await Promise.all([sweeping, closing])
  t.same(events, ['swept', 'closed'])
})

t.test('of replicas one sweeps, and another one when that no longer does', async t => {
  const [one, two] = [await startApp(t), await startApp(t)]
  const leads: string[] = []
  let leader = 'one'
  for (const [name, { app }] of [['one', one], ['two', two]] as const) {
    t.intercept(app.engine, 'lead', {
      value: async (task: string, forMs: number) => {
        leads.push(`${name} ${task} ${forMs}`)
        return name === leader
      }
    })
    t.intercept(app.sessionStore, 'removeSilentSince', {
      value: async () => {
        leads.push(`${name} swept`)
        return []
      }
    })
  }
  const interval = 5 * 60_000
  for (const next of ['one', 'two']) {
    leader = next
    await sweep(one)
    await sweep(two)
    const asked = [`one session-cleanup ${interval}`, `two session-cleanup ${interval}`]
    t.same(leads.splice(0), next === 'one' ? [asked[0], 'one swept', asked[1]] : [...asked, 'two swept'])
  }
})

t.test('a sweep that does not learn whether it is its turn has failed, and is said', async t => {
  const logged: Record<string, unknown>[] = []
  const service = await startApp(t, { logged })
  t.intercept(service.app.engine, 'lead', { value: async () => { throw new Error('The connection was refused') } })
  await sweep(service)
  t.match(logged.find(({ msg }) => msg === 'The sweep failed; the next one tries again'), { level: 50, err: { type: 'Error' } })
  t.equal((await Scrape.take(service)).sum('holdline_sweeps_total', { outcome: 'failed' }), 1)
})
