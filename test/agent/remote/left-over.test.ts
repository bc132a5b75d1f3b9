import t from 'tap'
import { FakeThread, IS_CANCEL, IS_RUN, IS_RUNS, IS_STATE } from '../../fixtures/fake-thread.ts'

const BUSY = [422, { message: 'Thread is already running a task' }] as const

t.test('a message whose run a crash of this service left is not run again once that run has answered', async t => {
  const thread = await FakeThread.start(t)
  thread.runs = ['left']
  let looks = 0
  thread.answer = ({ path }) => {
    if (IS_RUNS.test(path) && ++looks > 4) thread.finish()
    return IS_RUN.test(path) ? BUSY : 'as ever'
  }
  t.match(await thread.say(), [{ type: 'answer', text: 'paid' }])
  t.equal(thread.fake.count('POST', IS_RUN), 1)
  t.equal(thread.fake.count('POST', IS_CANCEL), 0)
})

t.test('nor is one that the process which is gone gave another id', async t => {
  const thread = await FakeThread.start(t)
  thread.answer = ({ path }) => {
    if (!IS_RUN.test(path)) return 'as ever'
    thread.finish()
    return BUSY
  }
  t.match(await thread.say(AbortSignal.timeout(30_000), { messageId: 'm2', isRepeatOf: id => id === 'm1' }), [{ type: 'answer', text: 'paid' }])
  t.equal(thread.fake.count('POST', IS_RUN), 1)
})

t.test('nor where the run that was left asks its question', async t => {
  const thread = await FakeThread.start(t)
  thread.answer = ({ path }) => {
    if (!IS_RUN.test(path)) return 'as ever'
    thread.messages = [...thread.messages, { type: 'human', id: 'm1', content: 'pay' }]
    thread.next = ['ask']
    thread.tasks = [{ name: 'ask', interrupts: [{ id: 'i1', value: 'May I?' }] }]
    return BUSY
  }
  t.match(await thread.say(), [{ type: 'question', question: { actions: [{ description: 'May I?' }] } }])
  t.equal(thread.fake.count('POST', IS_RUN), 1)
})

t.test('a run that was left and ends between two looks is found as well, and its message stays', async t => {
  const thread = await FakeThread.start(t)
  thread.answer = ({ path }) => {
    if (!IS_RUN.test(path)) return 'as ever'
    thread.finish()
    return BUSY
  }
  t.match(await thread.say(), [{ type: 'answer', text: 'paid' }])
  t.equal(thread.fake.count('POST', IS_RUN), 1)
  t.equal(thread.fake.count('POST', IS_STATE), 0)
})

t.test('a message whose run was left and came to nothing runs', async t => {
  const thread = await FakeThread.start(t, { leftOverMs: 0 })
  thread.runs = ['left']
  thread.answer = ({ path }) => IS_RUN.test(path) && thread.runs.length > 0 ? BUSY : 'as ever'
  t.match((await thread.say()).at(-1), { type: 'answer', text: 'paid' })
  t.equal(thread.fake.count('POST', IS_RUN), 2)
})

t.test('a message that is refused twice changes nothing in the thread: what runs there is another\'s', async t => {
  const thread = await FakeThread.start(t)
  thread.answer = ({ path }) => IS_RUN.test(path) ? BUSY : 'as ever'
  await t.rejects(thread.say(), { code: 'AGENT_FAILED' })
  t.equal(thread.fake.count('POST', IS_RUN), 2)
  t.equal(thread.fake.count('POST', IS_STATE), 0)
})
