import t from 'tap'
import { FakeThread, IS_RUN, IS_STATE, PERSON, THREAD } from '../../fixtures/fake-thread.ts'

const APPROVAL = { type: 'approval_request', tool_name: 'pay', description: 'May I pay?' }

/** A thread that waits with these interrupts, and what runs or state changes make of them. */
async function ask (t: Parameters<typeof FakeThread.start>[0], values: readonly unknown[], asksAgain = false) {
  const thread = await FakeThread.start(t)
  thread.next = ['ask']
  thread.tasks = values.map((value, index) => ({ name: 'ask', interrupts: [{ id: `i${index}`, value }] }))
  const rest = () => { [thread.next, thread.tasks] = [[], []] }
  thread.answer = ({ method, path }, response) => {
    if (method === 'POST' && IS_STATE.test(path)) rest()
    if (!IS_RUN.test(path)) return 'as ever'
    if (!asksAgain) rest()
    thread.tell(response, ['metadata', { run_id: 'r1' }], ['values', { messages: thread.messages }])
    return 'by hand'
  }
  const question = await thread.agent.pending(THREAD)
  if (question === undefined) throw new Error('Nothing is asked')
  await thread.agent.dismiss({ threadId: THREAD, question, reason: 'nobody answered', person: PERSON, signal: AbortSignal.timeout(30_000) })
  t.equal(await thread.agent.pending(THREAD), undefined, 'nothing is pending')
  return thread
}

t.test('a graph that asks for a yes or a no is told no', async t => {
  for (const value of [APPROVAL, { what: 'else?' }]) {
    const { fake } = await ask(t, [value])
    t.match(fake.asked.filter(({ path }) => IS_RUN.test(path)), [{ body: /"resume":\{"i0":"no"\}/ }])
    t.equal(fake.count('POST', IS_STATE), 0)
  }
})

t.test('one that then asks again is told nothing more', async t => {
  const { fake } = await ask(t, [APPROVAL], true)
  t.equal(fake.count('POST', IS_RUN), 1)
  t.ok(fake.count('POST', IS_STATE) > 0)
})

t.test('one that asks for words is told nothing, also beside other questions', async t => {
  for (const values of [['What is your name?'], [APPROVAL, 'What is your name?']]) {
    const { fake } = await ask(t, values)
    t.equal(fake.count('POST', IS_RUN), 0, 'no step runs')
  }
})
