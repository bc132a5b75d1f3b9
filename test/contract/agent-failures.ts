import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { skip, Talk, type AgentScript, type MakeAgent } from './agent-talk.ts'

const failed = { name: 'ServiceError', code: 'AGENT_FAILED' }

/** What `Agent` promises about runs that fail, or that are ended. */
export function testAgentFailures (t: Test, makeAgent: MakeAgent): void {
  testFailedRuns(t, makeAgent)
  testEndedRuns(t, makeAgent)
}

type Trick = Exclude<{ [K in keyof AgentScript]: AgentScript[K] extends string | undefined ? K : never }[keyof AgentScript], undefined>

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
    testIf(t, makeAgent, 'fail', `after a model that failed, in the ${isFirst ? 'first' : 'second'} turn, the message is not in the thread`, async (t, talk, fail) => {
      if (!isFirst) await talk.say(talk.script.hello)
      const before = await talk.said()
      const messageId = randomUUID()
      await t.rejects(talk.say(fail, { messageId }), failed)
      t.same(await talk.said(), before)
      t.equal(await talk.agent.findReply(talk.threadId, messageId), undefined)
      await talk.expectFit(t)
    })
  }

  testIf(t, makeAgent, 'failAfterTool', 'after a failure the result of a tool that ran is in the thread, the message is not', async (t, talk, failAfterTool) => {
    await talk.say(talk.script.hello)
    const before = await talk.said()
    await t.rejects(talk.say(failAfterTool), failed)
    t.match((await talk.said()).slice(before.length), [/^assistant calls /, /^tool: /])
    t.equal((await talk.said()).length, before.length + 2)
    await talk.expectFit(t)
  })

  testIf(t, makeAgent, 'failAfterYes', 'a yes is used up by a model that fails after the tool ran', async (t, talk, failAfterYes) => {
    await talk.say(failAfterYes)
    const ids = (await talk.question()).actions.map(action => action.toolCallId)
    await t.rejects(talk.decide([{ type: 'approve' }]), failed)
    t.equal(await talk.agent.haveResults(talk.threadId, ids), true)
    t.match((await talk.said()).at(-1), /^tool: /)
    await talk.expectFit(t)
  })

  testIf(t, makeAgent, 'failInTool', 'a yes is used up by a tool that fails: it is not asked for again', async (t, talk, failInTool) => {
    await talk.say(failInTool)
    // Whether the failure of a tool ends the run is the graph's own choice.
    await talk.decide([{ type: 'approve' }]).catch((error: unknown) => { t.match(error, failed) })
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
    await talk.say(talk.script.ask('milk'))
    const question = await talk.question()
    await t.rejects(talk.decide([{ type: 'approve' }], { signal: AbortSignal.abort(reason) }), reason)
    t.same(await talk.question(), question)
  })

  testIf(t, makeAgent, 'hang', 'a run that its signal ends throws the reason, and its message is not in the thread', async (t, talk, hang) => {
    await talk.say(talk.script.hello)
    const before = await talk.said()
    const [abort, hanging] = [new AbortController(), talk.under.hanging()]
    const turn = talk.say(hang, { signal: abort.signal })
    await hanging
    abort.abort(reason)
    await t.rejects(turn, reason)
    t.same(await talk.said(), before)
    await talk.expectFit(t)
  })

  testIf(t, makeAgent, 'hangInTool', 'an answer that is cut off while its tool runs leaves the question, and another answer counts', async (t, talk, hangInTool) => {
    await talk.say(hangInTool)
    const question = await talk.question()
    const [abort, hanging] = [new AbortController(), talk.under.hanging()]
    const resumed = talk.decide([{ type: 'approve' }], { signal: abort.signal })
    await hanging
    abort.abort(reason)
    await t.rejects(resumed, reason)
    t.same(await talk.question(), question)
    t.equal(await talk.agent.haveResults(talk.threadId, question.actions.map(action => action.toolCallId)), false)
    const again = await talk.reopen()
    t.same(await again.question(), question)
    t.match((await again.decide([{ type: 'reject', message: 'too late' }])).at(-1), { type: 'answer', text: /too late/ })
    await again.expectFit(t)
  })
}
