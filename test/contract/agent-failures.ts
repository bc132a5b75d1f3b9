import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { MakeAgent } from './agent-script.ts'
import { readAnswer, readCallIds, refusal, skip, Talk } from './agent-talk.ts'

const failed = refusal('AGENT_FAILED')

/** What `Agent` promises about runs that fail, or that are ended. */
export function testAgentFailures (t: Test, makeAgent: MakeAgent): void {
  testFailedRuns(t, makeAgent)
  testEndedRuns(t, makeAgent)
}

type Trick = 'fail' | 'failAfterTool' | 'failAfterYes' | 'failInTool' | 'hang' | 'hangAfterYes'

/** A test of an agent that can be made to do this. */
function testIf (t: Test, makeAgent: MakeAgent, trick: Trick, title: string, run: (t: Test, talk: Talk, message: string) => Promise<void>): void {
  t.test(title, async t => {
    const talk = await Talk.start(t, makeAgent)
    const message = talk.script[trick]
    if (message === undefined) return skip(t, `this agent cannot be made to ${trick}`)
    await run(t, talk, message)
  })
}

function testFailedRuns (t: Test, makeAgent: MakeAgent): void {
  for (const isFirst of [true, false]) {
    testIf(t, makeAgent, 'fail', `after a step that failed, in the ${isFirst ? 'first' : 'second'} turn, the message is not in the thread`, async (t, talk, fail) => {
      if (!isFirst) await talk.greet()
      const before = await talk.said()
      const messageId = randomUUID()
      await t.rejects(talk.say(fail, { messageId }), failed)
      t.same(await talk.said(), before)
      t.equal(await talk.agent.findReply(talk.threadId, messageId), undefined)
      await talk.expectFit(t)
    })
  }

  testIf(t, makeAgent, 'failAfterTool', 'after a failure the result of a tool that ran is in the thread, the message is not', async (t, talk, failAfterTool) => {
    await talk.greet()
    const before = await talk.said()
    await t.rejects(talk.say(failAfterTool), failed)
    t.match((await talk.said()).slice(before.length), [/^assistant calls /, /^tool: /])
    t.equal((await talk.said()).length, before.length + 2)
    await talk.expectFit(t)
  })

  testIf(t, makeAgent, 'failAfterYes', 'a yes is used up by a step that fails behind it', async (t, talk, failAfterYes) => {
    await talk.say(failAfterYes)
    const question = await talk.question()
    const before = await talk.said()
    await t.rejects(talk.decideAll({ type: 'approve' }), failed)
    const ids = readCallIds(question)
    t.equal(await talk.agent.haveResults(talk.threadId, ids), !ids.includes(''), 'only of calls it is known that they happened')
    t.match((await talk.said()).slice(before.length), ids.flatMap(id => id === '' ? [] : /^tool: /))
    t.equal((await talk.said()).length, before.length + ids.filter(id => id !== '').length)
    await talk.expectFit(t)
    await t.rejects(talk.decideAll({ type: 'approve' }, { question }), refusal('APPROVAL_NOT_PENDING'))
  })

  testIf(t, makeAgent, 'failInTool', 'a yes is used up by a tool that fails: it is not asked for again', async (t, talk, failInTool) => {
    await talk.say(failInTool)
    // Whether the failure of a tool ends the run is the graph's own choice.
    await talk.decideAll({ type: 'approve' }).catch((error: unknown) => { t.match(error, failed) })
    t.match(await talk.said(), [/^user: /, /^assistant calls /, /^tool: /])
    await talk.expectFit(t)
  })
}

function testEndedRuns (t: Test, makeAgent: MakeAgent): void {
  const reason = new Error('enough')

  t.test('a run whose signal has ended before it began does nothing', async t => {
    const talk = await Talk.start(t, makeAgent)
    await t.rejects(talk.say(talk.script.hello, { signal: AbortSignal.abort(reason) }), reason)
    t.same(await talk.said(), [])
    t.equal(await talk.agent.pending(talk.threadId), undefined)
    await talk.ask()
    const question = await talk.question()
    await t.rejects(talk.decideAll({ type: 'approve' }, { signal: AbortSignal.abort(reason) }), reason)
    t.same(await talk.question(), question)
    await talk.allow()
    await talk.expectFit(t)
  })

  testIf(t, makeAgent, 'hang', 'a run that its signal ends throws the reason, and its message is not in the thread', async (t, talk, hang) => {
    await talk.greet()
    const before = await talk.said()
    const [abort, hanging] = [new AbortController(), talk.under.hanging()]
    const turn = talk.say(hang, { signal: abort.signal })
    await hanging
    abort.abort(reason)
    await t.rejects(turn, reason)
    t.same(await talk.said(), before)
    await talk.expectFit(t)
  })

  testIf(t, makeAgent, 'hangAfterYes', 'a yes that is cut off before anything came of it leaves the question, and another answer counts', async (t, talk, hangAfterYes) => {
    await talk.say(hangAfterYes)
    const question = await talk.question()
    const [abort, hanging] = [new AbortController(), talk.under.hanging()]
    const resumed = talk.decideAll({ type: 'approve' }, { signal: abort.signal })
    await hanging
    abort.abort(reason)
    await t.rejects(resumed, reason)
    t.same(await talk.question(), question)
    t.equal(await talk.agent.haveResults(talk.threadId, readCallIds(question)), false)
    const again = await talk.reopen()
    t.same(await again.question(), question)
    t.ok(readAnswer(await again.decideAll({ type: 'reject', message: 'too late' })).includes(talk.script.refused('too late')))
    await again.expectFit(t)
  })
}
