import type { ServerResponse } from 'node:http'
import t from 'tap'
import { FakeThread, IS_CANCEL, IS_RUN, PERSON, THREAD } from '../../fixtures/fake-thread.ts'

const CUT_OFF = { code: 'AGENT_FAILED', cause: { message: 'The report of the run was cut off' } }
const BEGUN: [string, unknown] = ['metadata', { run_id: 'r1' }]

/** A thread whose run goes on when its report ends, having told no more than that. */
async function startCutOff (t: Parameters<typeof FakeThread.start>[0], cut: (thread: FakeThread, response: ServerResponse) => void) {
  const thread = await FakeThread.start(t)
  thread.answer = ({ path }, response) => {
    if (!IS_RUN.test(path)) return 'as ever'
    thread.runs = ['r1']
    cut(thread, response)
    return 'by hand'
  }
  return thread
}

t.test('a report that ends before its message is in the thread is a failure, and the run is ended', async t => {
  const thread = await startCutOff(t, (thread, response) => { thread.tell(response, BEGUN) })
  await t.rejects(thread.say(), CUT_OFF)
  t.equal(thread.fake.count('POST', IS_CANCEL), 1)
})

t.test('so is one that ends while the run goes on', async t => {
  const thread = await startCutOff(t, (thread, response) => {
    thread.messages = [...thread.messages, { type: 'human', id: 'm1', content: 'pay' }]
    thread.next = ['model']
    thread.tell(response, BEGUN, ['values', { messages: thread.messages }])
  })
  await t.rejects(thread.say(), CUT_OFF)
  t.equal(thread.fake.count('POST', IS_CANCEL), 1)
})

t.test('and one that is empty', async t => {
  const thread = await startCutOff(t, (thread, response) => { thread.tell(response) })
  await t.rejects(thread.say(), CUT_OFF)
  t.equal(thread.fake.count('POST', IS_CANCEL), 1)
})

t.test('an answer to a question is not taken for given where the report tells of no state', async t => {
  const thread = await startCutOff(t, (thread, response) => {
    if (thread.fake.count('POST', IS_RUN) === 1) thread.tell(response, BEGUN)
    else response.destroy()
  })
  thread.next = ['ask']
  thread.tasks = [{ name: 'ask', interrupts: [{ id: 'i1', value: 'May I?' }] }]
  const question = await thread.agent.pending(THREAD)
  if (question === undefined) throw new Error('Nothing is asked')
  const signal = AbortSignal.timeout(30_000)
  await t.rejects(thread.agent.resume({ threadId: THREAD, question, decisions: [{ type: 'approve' }], person: PERSON, signal }).next(), CUT_OFF)
  t.equal(thread.fake.count('POST', IS_CANCEL), 1)
})
