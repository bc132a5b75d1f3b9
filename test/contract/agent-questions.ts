import type { Test } from 'tap'
import type { MakeAgent } from './agent-script.ts'
import { refusal, Talk } from './agent-talk.ts'

/** What `Agent` promises about questions, whatever is decided about them. */
export function testAgentQuestions (t: Test, makeAgent: MakeAgent): void {
  testAsking(t, makeAgent)
  testOldQuestions(t, makeAgent)
  testMisfits(t, makeAgent)
}

function testAsking (t: Test, makeAgent: MakeAgent): void {
  t.test('the agent asks before it acts: what about, and what may be decided', async t => {
    const talk = await Talk.start(t, makeAgent)
    const [asked] = talk.script.questions(talk.thing)
    await talk.greet()
    const events = await talk.ask()
    const { actions, text } = await talk.question()
    const shown = actions.map(({ toolCallId, description, ...action }) => ({ ...action, isCall: toolCallId !== '' }))
    t.same(shown, asked)
    for (const { description, args } of actions) t.match(JSON.stringify([description, args]), talk.thing, 'it says what it is about')
    for (const { description } of actions) t.match(description, /\S/)
    t.equal(text, '', 'what was said in another turn is no part of it')
    t.equal(events.at(-1)?.type, 'question')
    t.notOk(events.some(event => event.type === 'tool_result'), 'and nothing has run')
  })

  t.test('each question is the same as often as it is asked for, also after a restart', async t => {
    let talk = await Talk.start(t, makeAgent)
    let last = (await talk.ask()).at(-1)
    for (const { length } of talk.script.questions(talk.thing)) {
      const question = await talk.question()
      t.equal(question.actions.length, length)
      t.same(last?.type === 'question' ? last.question : undefined, question)
      t.same(await talk.question(), question)
      talk = await talk.reopen()
      t.same(await talk.question(), question)
      last = (await talk.decideAll({ type: 'approve' })).at(-1)
    }
    t.equal(last?.type, 'answer')
  })

  t.test('an equal question asked later is another one', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.ask()
    const question = await talk.question()
    await talk.decideAll({ type: 'reject' })
    await talk.ask()
    t.not((await talk.question()).fingerprint, question.fingerprint)
    await t.rejects(talk.decideAll({ type: 'approve' }, { question }), refusal('APPROVAL_NOT_PENDING'), 'and an answer to the first is none to it')
  })
}

function testOldQuestions (t: Test, makeAgent: MakeAgent): void {
  t.test('a question that was answered meanwhile, or never asked, is refused', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.ask()
    const question = await talk.question()
    await (await talk.reopen()).allow()
    const said = await talk.said()
    await t.rejects(talk.decideAll({ type: 'approve' }, { question }), refusal('APPROVAL_NOT_PENDING'))
    t.same(await talk.said(), said)
    const other = new Talk(talk.under, talk.agent)
    await t.rejects(other.decideAll({ type: 'approve' }, { question }), refusal('APPROVAL_NOT_PENDING'))
    t.same(await other.said(), [])
    await talk.expectFit(t)
  })

  t.test('each question that is dismissed is over: nothing was done, and the thread says so', async t => {
    const under = await makeAgent(t)
    for (const before of under.script.questions(under.script.things[0]).keys()) {
      const talk = await Talk.start(t, async () => under)
      await talk.ask()
      for (let index = 0; index < before; index++) await talk.decideAll({ type: 'approve' })
      const question = await talk.question()
      await talk.dismiss(question, 'nobody answered')
      const expected = [`user: ${talk.script.ask(talk.thing)}`, ...talk.script.dismissed('nobody answered', before)]
      const said = await talk.said()
      t.match(said, expected)
      t.equal(said.length, expected.length)
      await talk.expectFit(t)
      await t.rejects(talk.decideAll({ type: 'approve' }, { question }), refusal('APPROVAL_NOT_PENDING'))
    }
  })
}

function testMisfits (t: Test, makeAgent: MakeAgent): void {
  t.test('decisions that do not fit are refused, and nothing has changed', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.ask()
    const question = await talk.question()
    const { agent, script } = talk
    const approve = question.actions.map(() => ({ type: 'approve' } as const))
    t.throws(() => { agent.checkDecisions(question, []) }, refusal('DECISION_REFUSED'))
    t.throws(() => { agent.checkDecisions(question, [...approve, { type: 'approve' }]) }, refusal('DECISION_REFUSED'))
    for (const decision of [{ type: 'respond', message: 'x' }, { type: 'edit', args: {} }] as const) {
      // That the arguments of an edit fit is a test of its own.
      if (question.actions.every(action => action.allowedDecisions.includes(decision.type))) continue
      t.throws(() => { agent.checkDecisions(question, approve.map(() => decision)) }, refusal('DECISION_REFUSED'), `no ${decision.type}`)
    }
    for (const value of script.misfits) t.throws(() => agent.parseResume(question, value), refusal('DECISION_REFUSED'), JSON.stringify(value))
    for (const value of [null, undefined]) {
      t.throws(() => { agent.checkDecisions(question, approve.map(() => ({ type: 'resume', value }))) }, refusal('DECISION_REFUSED'))
    }
    t.same(await talk.question(), question)
    await talk.allow()
    await talk.expectFit(t)
  })
}
