import type { Test } from 'tap'
import type { Decision } from '../../src/agent/agent.ts'
import { PERSON, readAnswer, skip, Talk, type MakeAgent } from './agent-talk.ts'

const refusal = (code: string): { name: string, code: string } => ({ name: 'ServiceError', code })

/** What `Agent` promises about questions and their answers. */
export function testAgentQuestions (t: Test, makeAgent: MakeAgent): void {
  testQuestions(t, makeAgent)
  testSeveralActions(t, makeAgent)
}

function testQuestions (t: Test, makeAgent: MakeAgent): void {
  t.test('a guarded tool asks: which one, with which arguments, and what may be decided', async t => {
    const talk = await Talk.start(t, makeAgent)
    const events = await talk.say(talk.script.ask('milk'))
    t.match(events.at(-1), { type: 'question', question: { text: '', actions: [{ toolName: talk.script.tool, toolCallId: /./, args: { text: 'milk' }, description: /\S/ }] } })
    const question = await talk.question()
    t.same(question.actions[0]?.allowedDecisions, talk.script.allowedDecisions)
    t.notOk(events.some(event => event.type === 'tool_result'), 'and has not run')
  })

  t.test('the question is the same as often as it is asked for, also after a restart', async t => {
    const talk = await Talk.start(t, makeAgent)
    const last = (await talk.say(talk.script.ask('milk'))).at(-1)
    const question = await talk.question()
    t.same(last?.type === 'question' ? last.question : undefined, question)
    t.same(await talk.question(), question)
    t.same(await (await talk.reopen()).question(), question)
  })

  t.test('an equal question asked later is another one', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.say(talk.script.ask('milk'))
    const { fingerprint } = await talk.question()
    await talk.decide([{ type: 'reject' }])
    await talk.say(talk.script.ask('milk'))
    t.not((await talk.question()).fingerprint, fingerprint)
  })

  t.test('a yes, also one after a restart, runs the tool and leads to the answer', async t => {
    const talk = await (await Talk.start(t, makeAgent)).reopen()
    await talk.say(talk.script.ask('milk'))
    const again = await talk.reopen()
    const events = await again.decide([{ type: 'approve' }])
    t.match(events.at(-2), { type: 'tool_result', name: talk.script.tool })
    t.ok(readAnswer(events).includes('milk'))
    await again.expectFit(t)
  })

  t.test('an edit runs the tool with the arguments of the person', async t => {
    const talk = await Talk.start(t, makeAgent)
    if (!talk.script.allowedDecisions.includes('edit')) return skip(t, 'this agent allows no edit')
    await talk.say(talk.script.ask('milk'))
    t.ok(readAnswer(await talk.decide([{ type: 'edit', args: { text: 'oat milk' } }])).includes('oat milk'))
    t.match(await talk.agent.history(talk.threadId), [{}, { toolCalls: [{ args: { text: 'oat milk' } }] }, {}, {}], 'and the thread says so')
    await talk.expectFit(t)
  })

  t.test('a no keeps the tool from running, and hands its reason to the agent', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.say(talk.script.ask('milk'))
    const events = await talk.decide([{ type: 'reject', message: 'I have enough of it' }])
    t.ok(readAnswer(events).includes('I have enough of it'))
    await talk.expectFit(t)
  })

  t.test('one question may follow from the answer to another', async t => {
    const talk = await Talk.start(t, makeAgent)
    if (talk.script.askAgain === undefined) return skip(t, 'this agent asks once')
    await talk.say(talk.script.askAgain)
    const first = await talk.question()
    t.match((await talk.decide([{ type: 'approve' }])).at(-1), { type: 'question' })
    const second = await talk.question()
    t.not(second.fingerprint, first.fingerprint)
    await t.rejects(talk.decide([{ type: 'approve' }], { question: first }), refusal('APPROVAL_NOT_PENDING'))
    t.same(await talk.question(), second, 'an answer to the first counts for nothing')
    t.match((await talk.decide([{ type: 'approve' }])).at(-1), { type: 'answer' })
    await talk.expectFit(t)
  })

  t.test('a question that was answered meanwhile, or never asked, is refused', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.say(talk.script.ask('milk'))
    const question = await talk.question()
    await (await talk.reopen()).decide([{ type: 'approve' }])
    await t.rejects(talk.decide([{ type: 'approve' }], { question }), refusal('APPROVAL_NOT_PENDING'))
    const other = new Talk(talk.under, talk.agent)
    await t.rejects(other.decide([{ type: 'approve' }], { question }), refusal('APPROVAL_NOT_PENDING'))
    await talk.expectFit(t)
  })

  t.test('a question that is dismissed is over: its calls get the reason, and nothing ran', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.say(talk.script.ask('milk'))
    const question = await talk.question()
    await talk.agent.dismiss({ threadId: talk.threadId, question, reason: 'nobody answered', person: PERSON, signal: AbortSignal.timeout(60_000) })
    t.match(await talk.said(), [/^user: /, /^assistant calls /, 'tool: nobody answered'])
    await talk.expectFit(t)
    await t.rejects(talk.decide([{ type: 'approve' }], { question }), refusal('APPROVAL_NOT_PENDING'))
  })

  t.test('decisions that do not fit are refused, and nothing has changed', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.say(talk.script.ask('milk'))
    const question = await talk.question()
    const { agent } = talk
    t.throws(() => { agent.checkDecisions(question, []) }, refusal('DECISION_REFUSED'))
    t.throws(() => { agent.checkDecisions(question, [{ type: 'approve' }, { type: 'approve' }]) }, refusal('DECISION_REFUSED'))
    t.throws(() => { agent.checkDecisions(question, [{ type: 'respond', message: 'x' }]) }, refusal('DECISION_REFUSED'))
    t.throws(() => agent.parseResume(question, { decisions: [{ type: 'edit', editedAction: { name: 'another_tool', args: {} } }] }), refusal('DECISION_REFUSED'))
    t.throws(() => agent.parseResume(question, null), refusal('DECISION_REFUSED'))
    if (talk.under.lacks.toolSchemas === undefined) {
      t.throws(() => { agent.checkDecisions(question, [{ type: 'edit', args: { text: 1 } }]) }, refusal('DECISION_REFUSED'))
    }
    t.same(await talk.question(), question)
    t.match((await talk.decide([{ type: 'approve' }])).at(-1), { type: 'answer' })
  })

  t.test('a resume value of the graph\'s own is read as decisions', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.say(talk.script.ask('milk'))
    const decisions = talk.agent.parseResume(await talk.question(), { decisions: [{ type: 'reject', message: 'not that one' }] })
    t.ok(readAnswer(await talk.decide(decisions)).includes('not that one'))
  })
}

function testSeveralActions (t: Test, makeAgent: MakeAgent): void {
  const choices: readonly (readonly [string, readonly [Decision, Decision], readonly [RegExp, RegExp]])[] = [
    ['both allowed', [{ type: 'approve' }, { type: 'approve' }], [/one/, /two/]],
    ['both refused', [{ type: 'reject', message: 'no 1' }, { type: 'reject', message: 'no 2' }], [/no 1/, /no 2/]],
    ['the second refused', [{ type: 'approve' }, { type: 'reject', message: 'no 2' }], [/one/, /no 2/]],
    ['the first refused, the second edited', [{ type: 'reject', message: 'no 1' }, { type: 'edit', args: { text: 'three' } }], [/no 1/, /three/]]
  ]
  for (const [title, decisions, results] of choices) {
    t.test(`two calls asked about at once, ${title}: each gets what was decided about it`, async t => {
      const talk = await Talk.start(t, makeAgent)
      const isMixed = decisions.some(({ type }) => type === 'reject') && decisions.some(({ type }) => type !== 'reject')
      if (talk.script.askTwo === undefined) return skip(t, 'this agent asks about one call at a time')
      if (isMixed && talk.under.lacks.mixedDecisions !== undefined) return skip(t, talk.under.lacks.mixedDecisions)
      await talk.say(talk.script.askTwo('one', 'two'))
      const { actions } = await talk.question()
      t.match(actions, [{ args: { text: 'one' } }, { args: { text: 'two' } }])
      const events = await talk.decide(decisions)
      t.match(events.at(-1), { type: 'answer' })
      const told = new Map(events.flatMap(event => event.type === 'tool_result' ? [[event.id, event.content] as const] : []))
      t.match(actions.map(({ toolCallId }) => told.get(toolCallId)), results)
      t.equal(await talk.agent.haveResults(talk.threadId, actions.map(action => action.toolCallId)), true)
      await talk.expectFit(t)
    })
  }
}
