import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { AgentEvent } from '../../src/agent/agent.ts'
import type { MakeAgent } from './agent-script.ts'
import { joinTokens, readAnswer, readCallIds, skip, Talk } from './agent-talk.ts'

/** What `Agent` promises about messages and their answers. */
export function testAgentTurns (t: Test, makeAgent: MakeAgent): void {
  testAnswers(t, makeAgent)
  testTokens(t, makeAgent)
  testThreads(t, makeAgent)
  testReplies(t, makeAgent)
}

function testAnswers (t: Test, makeAgent: MakeAgent): void {
  t.test('a message is answered, and the answer is the last event', async t => {
    const talk = await Talk.start(t, makeAgent)
    const events = await talk.greet()
    t.same(events.map(event => event.type), ['answer'])
    t.match(events.at(-1), { text: /\S/ })
    t.equal(talk.agent.status().canSave, true)
  })

  t.test('a tool that nobody is asked about is told with its result, in order, before the answer', async t => {
    const talk = await Talk.start(t, makeAgent)
    if (talk.script.useTool === undefined) return skip(t, 'this agent has no such tool')
    const [call, result, answer, ...more] = await talk.say(talk.script.useTool)
    t.match([call, result, answer], [{ type: 'tool_call', id: /./, name: /./ }, { type: 'tool_result', content: String }, { type: 'answer', text: /\S/ }])
    t.same(more, [])
    t.ok(call?.type === 'tool_call' && result?.type === 'tool_result' && call.id === result.id, 'the result names its call')
  })
}

function testTokens (t: Test, makeAgent: MakeAgent): void {
  const runs: readonly (readonly [string, (talk: Talk) => Promise<AgentEvent[]> | undefined])[] = [
    ['a message', async talk => await talk.greet({ wantsTokens: true })],
    ['a tool', talk => talk.script.useTool === undefined ? undefined : talk.say(talk.script.useTool, { wantsTokens: true })],
    ['a yes', async talk => {
      await talk.ask({ wantsTokens: true })
      return await talk.allow({ wantsTokens: true })
    }]
  ]
  for (const [what, run] of runs) {
    t.test(`tokens behind the last result of a tool, joined, are the answer, after ${what}`, async t => {
      const events = await run(await Talk.start(t, makeAgent))
      if (events === undefined) return skip(t, 'this agent has no such tool')
      t.equal(joinTokens(events), readAnswer(events))
    })
  }

  t.test('the tokens of an answer come in pieces', async t => {
    const talk = await Talk.start(t, makeAgent)
    if (talk.under.lacks.pieces !== undefined) return skip(t, talk.under.lacks.pieces)
    const events = await talk.greet({ wantsTokens: true })
    t.ok(events.filter(event => event.type === 'token').length > 1)
  })
}

function testThreads (t: Test, makeAgent: MakeAgent): void {
  t.test('a thread is kept over a restart, apart from every other one', async t => {
    const talk = await Talk.start(t, makeAgent)
    const answer = readAnswer(await talk.greet())
    const again = await talk.reopen()
    t.same(await again.said(), [`user: ${talk.script.hello}`, `assistant: ${answer}`])
    t.same(await new Talk(talk.under, again.agent).said(), [])
  })

  t.test('a thread remembers, and no other one knows', async t => {
    const talk = await Talk.start(t, makeAgent)
    const { hello, recall } = talk.script
    if (recall === undefined) return skip(t, 'this agent looks at one message only')
    await talk.greet()
    t.ok(readAnswer(await (await talk.reopen()).say(recall)).includes(hello))
    const other = new Talk(talk.under, talk.agent)
    t.notOk(readAnswer(await other.say(recall)).includes(hello))
  })

  for (const threadId of ['a.b:C-1', `x${'y'.repeat(127)}`]) {
    t.test(`a thread may be called ${threadId.slice(0, 9)}, ${threadId.length} characters`, async t => {
      const talk = await Talk.start(t, makeAgent, threadId)
      await talk.agent.forget(threadId)
      await talk.greet()
      t.equal((await talk.said()).length, 2)
      const other = new Talk(talk.under, talk.agent, threadId.toLowerCase() === threadId ? `${threadId.slice(1)}z` : threadId.toLowerCase())
      t.same(await other.said(), [], 'an id that differs a little is another thread')
    })
  }

  t.test('the history has what was said, oldest first, each message with an id of its own', async t => {
    const talk = await Talk.start(t, makeAgent)
    const [first, second] = [randomUUID(), randomUUID()]
    const hello = readAnswer(await talk.greet({ messageId: first }))
    await talk.ask({ messageId: second })
    const done = readAnswer(await talk.allow())
    const messages = await (await talk.reopen()).agent.history(talk.threadId)
    const calls = talk.script.questions(talk.thing).flat().filter(action => action.isCall).map(({ toolName: name, args }) => ({ name, args }))
    t.match(messages, [
      { id: first, role: 'user', content: talk.script.hello, toolCalls: [] },
      { role: 'assistant', content: hello, toolCalls: [] },
      { id: second, role: 'user', content: talk.script.ask(talk.thing), toolCalls: [] },
      ...calls.length === 0 ? [] : [{ role: 'assistant', toolCalls: calls }, ...calls.map(() => ({ role: 'tool', toolCalls: [], toolCallId: /./ }))],
      { role: 'assistant', content: done, toolCalls: [] }
    ])
    t.same(messages.flatMap(message => message.toolCallId ?? []), messages.flatMap(message => message.toolCalls).map(call => call.id))
    t.equal(new Set(messages.map(message => message.id)).size, messages.length)
    t.notOk(messages.some(message => message.id === ''))
  })

  t.test('a forgotten thread is empty, and may be forgotten again', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.agent.forget(talk.threadId)
    t.same(await talk.said(), [], 'one that never was')
    await talk.greet()
    await talk.ask()
    await talk.agent.forget(talk.threadId)
    t.same(await talk.said(), [])
    t.equal(await talk.agent.pending(talk.threadId), undefined)
    await talk.agent.forget(talk.threadId)
    const answer = readAnswer(await talk.greet())
    t.same(await talk.said(), [`user: ${talk.script.hello}`, `assistant: ${answer}`])
  })

  t.test('of a forgotten thread nothing is remembered', async t => {
    const talk = await Talk.start(t, makeAgent)
    const { hello, recall } = talk.script
    if (recall === undefined) return skip(t, 'this agent looks at one message only')
    await talk.greet()
    await talk.agent.forget(talk.threadId)
    t.notOk(readAnswer(await talk.say(recall)).includes(hello))
  })
}

function testReplies (t: Test, makeAgent: MakeAgent): void {
  t.test('what a message came to is found again: its answer, the question that it waits with, or nothing', async t => {
    const talk = await Talk.start(t, makeAgent)
    const { agent, threadId } = talk
    t.equal(await agent.findReply(threadId, randomUUID()), undefined, 'no thread yet')
    const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()]
    const answer = readAnswer(await talk.greet({ messageId: first }))
    await talk.ask({ messageId: second })
    for (const { length } of talk.script.questions(talk.thing)) {
      const question = await talk.question()
      const again = await talk.reopen()
      t.match(await again.agent.findReply(threadId, first), { type: 'answer', text: answer })
      t.match(await again.agent.findReply(threadId, second), { type: 'question', question })
      await again.decide(Array.from({ length }, () => ({ type: 'approve' })))
    }
    const decided = (await talk.said()).at(-1)?.replace('assistant: ', '')
    t.match(decided, talk.script.done(talk.thing))
    t.match(await agent.findReply(threadId, second), { type: 'answer', text: decided }, 'a turn that went on after a question counts as one')
    await talk.greet({ messageId: third })
    t.match(await agent.findReply(threadId, second), { type: 'answer', text: decided })
    t.equal(await agent.findReply(threadId, randomUUID()), undefined, 'a message that is not in the thread')
  })

  t.test('whether what was asked about happened is known: before, after, and of calls that never were', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.ask()
    const ids: string[] = []
    for (const { length } of talk.script.questions(talk.thing)) {
      ids.push(...readCallIds(await talk.question()))
      t.equal(await talk.agent.haveResults(talk.threadId, ids), false)
      await talk.decide(Array.from({ length }, () => ({ type: 'approve' })))
    }
    t.equal(await talk.agent.haveResults(talk.threadId, ids), true)
    t.equal(await (await talk.reopen()).agent.haveResults(talk.threadId, ids), true)
    t.equal(await talk.agent.haveResults(talk.threadId, [...ids, 'call_of_nobody']), false)
    t.equal(await talk.agent.haveResults(talk.threadId, []), true)
  })
}
