import type { Test } from 'tap'
import type { Decision, DecisionType } from '../../src/agent/agent.ts'
import type { AgentScript, AskedAction, MakeAgent } from './agent-script.ts'
import { readAnswer, readCallIds, refusal, skip, Talk } from './agent-talk.ts'

/** What `Agent` promises about the answers to its questions. */
export function testAgentDecisions (t: Test, makeAgent: MakeAgent): void {
  testYesAndNo(t, makeAgent)
  testEdits(t, makeAgent)
  testOwnValues(t, makeAgent)
  testChains(t, makeAgent)
  testTwoActions(t, makeAgent)
}

function testYesAndNo (t: Test, makeAgent: MakeAgent): void {
  t.test('a yes, also one after a restart, does what was asked about and leads to the answer', async t => {
    const talk = await (await Talk.start(t, makeAgent)).reopen()
    await talk.ask()
    const again = await talk.reopen()
    const events = await again.allow()
    t.ok(readAnswer(events).includes(talk.script.done(talk.thing)))
    const calls = talk.script.questions(talk.thing).at(-1)?.filter(action => action.isCall) ?? []
    t.same(events.flatMap(event => event.type === 'tool_result' ? event.name : []), calls.map(action => action.toolName), 'its tools have run')
    await again.expectFit(t)
  })

  t.test('a no keeps it from being done, and is handed to the agent', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.ask()
    const answer = readAnswer(await talk.decideAll({ type: 'reject', message: 'I have enough of it' }))
    t.ok(answer.includes(talk.script.refused('I have enough of it')))
    t.notOk(answer.includes(talk.script.done(talk.thing)))
    await talk.expectFit(t)
  })
}

function testEdits (t: Test, makeAgent: MakeAgent): void {
  t.test('an edit does it with the arguments of the person', async t => {
    const talk = await Talk.start(t, makeAgent)
    if (!allows(talk.script, 'edit')) return skip(t, 'this agent allows no edit')
    await talk.ask()
    const [, otherThing] = talk.script.things
    const [edited] = talk.script.questions(otherThing)
    const answer = readAnswer(await talk.decide(edited.map(({ args }) => ({ type: 'edit', args }))))
    t.ok(answer.includes(talk.script.done(otherThing)))
    t.match(await talk.agent.history(talk.threadId), [{}, { toolCalls: edited.map(({ args }) => ({ args })) }, {}, {}], 'and the thread says so')
    await talk.expectFit(t)
  })

  t.test('an edit that the tool would not take is refused', async t => {
    const talk = await Talk.start(t, makeAgent)
    if (!allows(talk.script, 'edit')) return skip(t, 'this agent allows no edit')
    if (talk.under.lacks.toolSchemas !== undefined) return skip(t, talk.under.lacks.toolSchemas)
    await talk.ask()
    const question = await talk.question()
    const wrong = question.actions.map(({ args }): Decision => ({ type: 'edit', args: Object.fromEntries(Object.keys(args).map(key => [key, 1])) }))
    t.throws(() => { talk.agent.checkDecisions(question, wrong) }, refusal('DECISION_REFUSED'))
    t.same(await talk.question(), question)
  })
}

function testOwnValues (t: Test, makeAgent: MakeAgent): void {
  t.test('a resume value of the graph\'s own is read as decisions', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.ask()
    const decisions = talk.agent.parseResume(await talk.question(), talk.script.resumeNo('not that one'))
    t.ok(readAnswer(await talk.decide(decisions)).includes(talk.script.refused('not that one')))
    await talk.expectFit(t)
  })

  t.test('words of a person\'s own are handed to the agent', async t => {
    const { talk, told } = await askInWords(t, makeAgent)
    if (told === undefined) return skip(t, 'this agent asks nothing in words')
    t.ok(readAnswer(await talk.decideAll({ type: 'respond', message: 'as you like' })).includes(told('as you like')))
    await talk.expectFit(t)
  })

  t.test('a question in words takes any value but null', async t => {
    const under = await makeAgent(t)
    // Among them what JavaScript takes for no.
    for (const value of ['later', '', 0, 7, false, true, [], ['a'], {}, { a: [null] }]) {
      const { talk, told } = await askInWords(t, async () => under)
      if (told === undefined) return skip(t, 'this agent asks nothing in words')
      const question = await talk.question()
      const values = question.actions.map(() => value)
      const decisions = talk.agent.parseResume(question, values.length === 1 ? value : values)
      t.same(decisions, values.map(value => ({ type: 'resume', value })))
      t.ok(readAnswer(await talk.decide(decisions)).includes(told(value)), JSON.stringify(value))
      await talk.expectFit(t)
    }
  })
}

/** A talk that waits with the first of its questions that is asked in words; `told` is undefined if none is. */
async function askInWords (t: Test, makeAgent: MakeAgent): Promise<{ talk: Talk, told: AgentScript['told'] }> {
  const talk = await Talk.start(t, makeAgent)
  const { told } = talk.script
  const before = talk.script.questions(talk.thing).findIndex(isInWords)
  if (told === undefined && before < 0) return { talk, told }
  t.ok(told !== undefined && before >= 0, 'its script tells what becomes of words')
  await talk.ask()
  for (let index = 0; index < before; index++) await talk.decideAll({ type: 'approve' })
  return { talk, told }
}

function isInWords (actions: readonly AskedAction[]): boolean {
  return actions.every(action => action.dialect === 'text')
}

function testChains (t: Test, makeAgent: MakeAgent): void {
  t.test('one question may follow from the answer to another', async t => {
    const talk = await Talk.start(t, makeAgent)
    if (talk.script.askAgain === undefined) return skip(t, 'this agent asks once')
    await talk.say(talk.script.askAgain)
    const first = await talk.question()
    t.match((await talk.decideAll({ type: 'approve' })).at(-1), { type: 'question' })
    const second = await talk.question()
    t.not(second.fingerprint, first.fingerprint)
    await t.rejects(talk.decideAll({ type: 'approve' }, { question: first }), refusal('APPROVAL_NOT_PENDING'))
    t.same(await talk.question(), second, 'an answer to the first counts for nothing')
    t.match((await talk.decideAll({ type: 'approve' })).at(-1), { type: 'answer' })
    await talk.expectFit(t)
  })
}

function testTwoActions (t: Test, makeAgent: MakeAgent): void {
  const choices: readonly (readonly [DecisionType, DecisionType])[] = [
    ['approve', 'approve'], ['reject', 'reject'], ['approve', 'reject'], ['reject', 'approve'], ['reject', 'edit'], ['respond', 'approve'], ['reject', 'respond']
  ]
  for (const types of choices) {
    t.test(`two actions asked about at once, ${types.join(' and ')}: each gets what was decided about it`, async t => {
      const talk = await Talk.start(t, makeAgent)
      const { askTwo } = talk.script
      if (askTwo === undefined) return skip(t, 'this agent asks about one action at a time')
      const refused = types.find(type => !askTwo.actions.every(action => action.allowedDecisions.includes(type)))
      if (refused !== undefined) return skip(t, `this agent allows no ${refused}`)
      await talk.say(askTwo.message)
      const question = await talk.question()
      t.match(question.actions, askTwo.actions.map(({ isCall, ...action }) => action))
      const decisions = types.map((type, index) => decideAs(type, index, talk.script))
      const events = await (await talk.reopen()).decide(decisions)
      const answer = readAnswer(events)
      const told = new Map(events.flatMap(event => event.type === 'tool_result' ? [[event.id, event.content] as const] : []))
      for (const [index, decision] of decisions.entries()) {
        // What is no call has no result to tell it.
        const id = question.actions[index]?.toolCallId ?? ''
        t.match(id === '' ? answer : told.get(id), askTwo.says(decision, index))
      }
      t.equal(await talk.agent.haveResults(talk.threadId, readCallIds(question)), true)
      await talk.expectFit(t)
    })
  }
}

function decideAs (type: DecisionType, index: number, { questions, things }: AgentScript): Decision {
  switch (type) {
    case 'approve': return { type }
    case 'reject': return { type, message: `no ${index + 1}` }
    case 'respond': return { type, message: 'as you like' }
    case 'edit': return { type, args: questions(things[1])[0][0]?.args ?? {} }
  }
}

/** Whether all that its first question asks about may be decided so. */
function allows (script: AgentScript, type: DecisionType): boolean {
  return script.questions(script.things[0])[0].every(action => action.allowedDecisions.includes(type))
}
