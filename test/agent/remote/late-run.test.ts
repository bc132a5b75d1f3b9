import t from 'tap'
import { FakeThread, IS_CANCEL, IS_RUN, IS_RUNS, THREAD } from '../../fixtures/fake-thread.ts'

t.test('a run that begins only after its caller has gone is ended before the next message', async t => {
  const thread = await FakeThread.start(t)
  const abort = new AbortController()
  let looks = 0
  thread.answer = ({ path }) => {
    if (IS_RUN.test(path)) {
      abort.abort(new Error('stop'))
      return 'by hand'
    }
    // Some looks after the caller has gone: each is at what runs, and at what waits.
    if (IS_RUNS.test(path) && ++looks === 4) {
      thread.runs = ['late']
      thread.messages = [...thread.messages, { type: 'human', id: 'm1', content: 'pay' }]
      thread.next = ['model']
    }
    return 'as ever'
  }
  await t.rejects(thread.say(abort.signal), { message: 'stop' })
  t.equal(await thread.agent.pending(THREAD), undefined)
  t.equal(thread.fake.count('POST', IS_CANCEL), 1)
  t.same(thread.runs, [])
  const written = thread.fake.asked.filter(({ method, body }) => method === 'POST' && body.includes('remove'))
  t.match(written, [{ body: /"m1"/ }])
})

t.test('so is one whose answer was lost on the way, on a thread that the server did not know', async t => {
  const thread = await FakeThread.start(t)
  let looks = 0
  thread.answer = ({ path }, response) => {
    if (IS_RUN.test(path)) {
      response.destroy()
      return 'by hand'
    }
    if (!IS_RUNS.test(path)) return 'as ever'
    looks++
    if (looks < 4) return [404, { detail: 'no thread' }]
    if (looks === 4) thread.runs = ['late']
    return 'as ever'
  }
  await t.rejects(thread.say(), { code: 'AGENT_FAILED' })
  t.equal(thread.fake.count('POST', IS_CANCEL), 1)
  t.same(thread.runs, [])
})
