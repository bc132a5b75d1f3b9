import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import errors from '../../plugins/errors.ts'
import overload, { type OverloadOptions } from '../../plugins/overload.ts'
import { startApp } from '../fixtures/app.ts'
import { Program } from '../fixtures/program.ts'
import { LOADER } from '../fixtures/loader.ts'

const PROGRAM = fileURLToPath(new URL('../fixtures/overload-program.ts', import.meta.url))

async function start (t: Test, options: Partial<OverloadOptions>, logged: Record<string, unknown>[] = []): Promise<FastifyInstance> {
  const stream = { write: (line: string) => { logged.push(JSON.parse(line)) } }
  const app = Fastify({ logger: { level: 'info', stream } })
  t.after(() => app.close())
  await app.register(errors, { now: Date.now })
  await app.register(overload, { now: () => 0, sampleIntervalMs: 100, ...options })
  app.get('/', async () => 'fine')
  app.get('/vital', { config: { answersUnderPressure: true } }, async () => 'fine')
  await app.ready()
  return app
}

/** Leaves the event loop no time, until the process has noticed. */
async function press (app: FastifyInstance): Promise<void> {
  while (!app.isUnderPressure()) {
    const untilMs = performance.now() + 50
    while (performance.now() < untilMs);
    await new Promise(resolve => setImmediate(resolve))
  }
}

t.test('while the event loop is late, requests are refused, and when it is not any more, they are answered', async t => {
  const app = await start(t, { maxDelayMs: 20 })
  await press(app)
  const refused = await app.inject('/')
  t.match(refused, { statusCode: 503, headers: { 'retry-after': '5' } })
  t.match(refused.json(), { statusCode: 503, code: 'OVERLOADED', error: 'Service Unavailable', message: /busy/, request_id: String })
  while (app.isUnderPressure()) await new Promise(resolve => setImmediate(resolve))
  while ((await app.inject('/')).statusCode !== 200);
  t.pass('it recovers')
})

t.test('what tells of the pressure, or takes it away, is answered all the time', async t => {
  const app = await start(t, { maxDelayMs: 20 })
  await press(app)
  t.equal((await app.inject('/vital')).statusCode, 200)
})

t.test('while memory is short, requests are refused, and the log is told once, not with each of them', async t => {
  const logged: Record<string, unknown>[] = []
  let nowMs = 0
  const app = await start(t, { maxDelayMs: Infinity, maxHeapBytes: 1, now: () => nowMs }, logged)
  await press(app)
  for (let index = 0; index < 3; index++) t.equal((await app.inject('/')).statusCode, 503)
  const warnings = () => logged.filter(line => line.level === 40)
  t.match(warnings(), [{ code: 'OVERLOADED', pressure: 'heapUsedBytes', value: Number }])
  nowMs += 10_000
  await app.inject('/')
  t.equal(warnings().length, 2, 'and again when it goes on')
  t.same(logged.filter(line => Number(line.level) >= 50), [])
})

t.test('the service refuses everything but its health and what ends a turn', async t => {
  const service = await startApp(t, { maxLoopDelayMs: 0.001 })
  await press(service.app)
  t.match(await service.say('Hello'), { status: 503, headers: { 'retry-after': '5' }, body: { code: 'OVERLOADED', status: 'error', requires_approval: false } })
  t.equal((await service.approve({ user_id: 'ann', session_id: 'x', approved: true })).status, 503)
  t.equal((await service.get('/api/sessions')).status, 503)
  for (const url of ['/health', '/health/live', '/health/ready']) t.equal((await service.get(url)).status, 200, url)
  t.equal((await service.request({ method: 'POST', url: '/api/sessions/nowhere/cancel' })).status, 404)
})

t.test('the watch does not keep a process alive', async t => {
  const program = new Program(t, [process.execPath, LOADER, PROGRAM])
  t.equal(await program.hear(), 'ready')
  t.match(await program.exit, { code: 0, signal: null, stderr: '' })
})
