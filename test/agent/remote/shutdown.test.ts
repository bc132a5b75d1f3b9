import t from 'tap'
import { FakeThread, IS_CANCEL, IS_RUN, IS_RUNS, IS_STATE, THREAD } from '../../fixtures/fake-thread.ts'

/** Longer than anybody whose time is up is held, shorter than the server's silence. */
const SHORTLY_MS = 2000

/** A turn that is stopped as soon as `isDue` has been met. */
async function sayAndStop (thread: FakeThread, due: Promise<void>) {
  const abort = new AbortController()
  const turn = thread.say(abort.signal).then(() => undefined, (error: unknown) => error)
  await due
  const startedAt = performance.now()
  abort.abort(new Error('stop'))
  return { error: await turn, ms: performance.now() - startedAt }
}

function makeMark () {
  let meet = () => {}
  const met = new Promise<void>(resolve => { meet = resolve })
  return { met, meet: () => { meet() } }
}

t.test('a caller whose time is up is not held by a server that hangs at the cancel, and whoever comes next waits for it', async t => {
  const thread = await FakeThread.start(t)
  const [running, cancelled] = [makeMark(), makeMark()]
  let finishCancel = () => {}
  thread.answer = ({ path }, response) => {
    if (IS_RUN.test(path)) {
      thread.runs = ['r1']
      thread.messages = [...thread.messages, { type: 'human', id: 'm1', content: 'pay' }]
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: metadata\ndata: {"run_id":"r1"}\n\n', running.meet)
      return 'by hand'
    }
    if (!IS_CANCEL.test(path)) return 'as ever'
    finishCancel = () => {
      thread.runs = []
      response.writeHead(200).end('{}')
    }
    cancelled.meet()
    return 'by hand'
  }
  const { error, ms } = await sayAndStop(thread, running.met)
  t.match(error, { message: 'stop' })
  t.ok(ms < SHORTLY_MS, `${ms} ms`)
  await cancelled.met
  const reads = thread.fake.count('GET', IS_STATE)
  const pending = thread.agent.pending(THREAD)
  await t.rejects(thread.agent.pending(THREAD, AbortSignal.abort(new Error('no time'))), { message: 'no time' })
  t.equal(thread.fake.count('GET', IS_STATE), reads, 'nobody reads what is being repaired')
  finishCancel()
  t.equal(await pending, undefined)
  const removal = thread.fake.asked.find(({ method, path, body }) => method === 'POST' && IS_STATE.test(path) && body.includes('remove'))
  t.match(removal?.body, /"m1"/, 'the message is taken out behind the back of its caller')
})

t.test('nor by one that hangs at everything', async t => {
  const thread = await FakeThread.start(t, { requestTimeoutMs: 1000 })
  const running = makeMark()
  let hangs = false
  thread.answer = ({ path }, response) => {
    if (hangs) return 'by hand'
    if (!IS_RUN.test(path)) return 'as ever'
    hangs = true
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: metadata\ndata: {"run_id":"r1"}\n\n', running.meet)
    return 'by hand'
  }
  const { error, ms } = await sayAndStop(thread, running.met)
  t.match(error, { message: 'stop' })
  t.ok(ms < SHORTLY_MS, `${ms} ms`)
  await thread.log.next('could not be made fit')
})

t.test('nor by a run that a crash left, which is ended all the same', async t => {
  const thread = await FakeThread.start(t, { leftOverMs: 500 })
  thread.runs = ['left']
  const [looking, cancelled] = [makeMark(), makeMark()]
  thread.answer = ({ path }) => {
    if (IS_RUNS.test(path)) looking.meet()
    if (IS_CANCEL.test(path)) cancelled.meet()
    return IS_RUN.test(path) ? [422, { message: 'busy' }] : 'as ever'
  }
  const { error, ms } = await sayAndStop(thread, looking.met)
  t.match(error, { message: 'stop' })
  t.ok(ms < SHORTLY_MS, `${ms} ms`)
  await cancelled.met
  t.equal(await thread.agent.pending(THREAD), undefined)
  t.same(thread.runs, [])
})

t.test('nor by a state that does not come', async t => {
  const thread = await FakeThread.start(t)
  const asked = makeMark()
  thread.answer = () => {
    asked.meet()
    return 'by hand'
  }
  const abort = new AbortController()
  const reads = Promise.allSettled([
    thread.agent.pending(THREAD, abort.signal), thread.agent.history(THREAD, abort.signal), thread.agent.findReply(THREAD, 'm1', abort.signal),
    thread.agent.haveResults(THREAD, ['c1'], abort.signal)
  ])
  await asked.met
  const startedAt = performance.now()
  abort.abort(new Error('stop'))
  t.match(await reads, Array.from({ length: 4 }, () => ({ status: 'rejected', reason: { message: 'stop' } })))
  t.ok(performance.now() - startedAt < 500, 'at once')
})
