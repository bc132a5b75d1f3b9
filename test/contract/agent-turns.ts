import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { joinTokens, readAnswer, skip, Talk, type MakeAgent } from './agent-talk.ts'

/** What `Agent` promises about messages and their answers. */
export function testAgentTurns (t: Test, makeAgent: MakeAgent): void {
  testTurns(t, makeAgent)
  testReplies(t, makeAgent)
}

function testTurns (t: Test, makeAgent: MakeAgent): void {
  t.test('a message is answered, and the answer is the last event', async t => {
    const talk = await Talk.start(t, makeAgent)
    const events = await talk.say(talk.script.hello)
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

  t.test('tokens behind the last result of a tool, joined, are the answer', async t => {
    const talk = await Talk.start(t, makeAgent)
    if (talk.under.lacks.tokens !== undefined) return skip(t, talk.under.lacks.tokens)
    for (const text of [talk.script.hello, talk.script.useTool ?? talk.script.hello]) {
      const events = await talk.say(text, { wantsTokens: true })
      t.ok(events.filter(event => event.type === 'token').length > 1, 'it comes in pieces')
      t.equal(joinTokens(events), readAnswer(events))
    }
    await talk.say(talk.script.ask('milk'), { wantsTokens: true })
    const events = await talk.decide([{ type: 'approve' }], { wantsTokens: true })
    t.equal(joinTokens(events), readAnswer(events))
  })

  t.test('a thread remembers, and no other one knows', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.say(talk.script.hello)
    t.ok(readAnswer(await (await talk.reopen()).say(talk.script.recall)).includes(talk.script.hello))
    const other = new Talk(talk.under, talk.agent)
    t.notOk(readAnswer(await other.say(talk.script.recall)).includes(talk.script.hello))
  })

  for (const threadId of ['a.b:C-1', `x${'y'.repeat(127)}`]) {
    t.test(`a thread may be called ${threadId.slice(0, 9)}, ${threadId.length} characters`, async t => {
      const talk = await Talk.start(t, makeAgent, threadId)
      await talk.agent.forget(threadId)
      await talk.say(talk.script.hello)
      t.equal((await talk.said()).length, 2)
      const other = new Talk(talk.under, talk.agent, threadId.toLowerCase() === threadId ? `${threadId.slice(1)}z` : threadId.toLowerCase())
      t.same(await other.said(), [], 'an id that differs a little is another thread')
    })
  }

  t.test('the history has what was said, oldest first, each message with an id of its own', async t => {
    const talk = await Talk.start(t, makeAgent)
    const messageId = randomUUID()
    await talk.say(talk.script.hello, { messageId })
    await talk.say(talk.script.ask('milk'))
    await talk.decide([{ type: 'approve' }])
    const messages = await (await talk.reopen()).agent.history(talk.threadId)
    t.same(messages.map(message => message.role), ['user', 'assistant', 'user', 'assistant', 'tool', 'assistant'])
    t.match(messages, [{ id: messageId, content: talk.script.hello }, {}, {}, { toolCalls: [{ name: talk.script.tool, args: { text: 'milk' } }] }, { toolCallId: /./ }, {}])
    t.equal(messages[4]?.toolCallId, messages[3]?.toolCalls[0]?.id)
    t.equal(new Set(messages.map(message => message.id)).size, messages.length)
    t.notOk(messages.some(message => message.id === ''))
  })

  t.test('a forgotten thread is empty, and may be forgotten again', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.agent.forget(talk.threadId)
    t.same(await talk.said(), [], 'one that never was')
    await talk.say(talk.script.hello)
    await talk.say(talk.script.ask('milk'))
    await talk.agent.forget(talk.threadId)
    t.same(await talk.said(), [])
    t.equal(await talk.agent.pending(talk.threadId), undefined)
    await talk.agent.forget(talk.threadId)
    t.notOk(readAnswer(await talk.say(talk.script.recall)).includes(talk.script.hello))
  })
}

function testReplies (t: Test, makeAgent: MakeAgent): void {
  t.test('what a message came to is found again: its answer, the question that it waits with, or nothing', async t => {
    const talk = await Talk.start(t, makeAgent)
    const { agent, threadId, script } = talk
    t.equal(await agent.findReply(threadId, randomUUID()), undefined, 'no thread yet')
    const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()]
    const answer = readAnswer(await talk.say(script.hello, { messageId: first }))
    await talk.say(script.ask('milk'), { messageId: second })
    const question = await talk.question()
    const again = await talk.reopen()
    t.match(await again.agent.findReply(threadId, first), { type: 'answer', text: answer })
    t.match(await again.agent.findReply(threadId, second), { type: 'question', question: { fingerprint: question.fingerprint } })
    const decided = readAnswer(await talk.decide([{ type: 'approve' }]))
    t.match(await agent.findReply(threadId, second), { type: 'answer', text: decided }, 'a turn that went on after a question counts as one')
    await talk.say(script.hello, { messageId: third })
    t.match(await agent.findReply(threadId, second), { type: 'answer', text: decided })
    t.equal(await agent.findReply(threadId, randomUUID()), undefined, 'a message that is not in the thread')
  })

  t.test('whether calls have results is known: before, after, and of calls that never were', async t => {
    const talk = await Talk.start(t, makeAgent)
    await talk.say(talk.script.ask('milk'))
    const ids = (await talk.question()).actions.map(action => action.toolCallId)
    t.equal(await talk.agent.haveResults(talk.threadId, ids), false)
    await talk.decide([{ type: 'approve' }])
    t.equal(await talk.agent.haveResults(talk.threadId, ids), true)
    t.equal(await talk.agent.haveResults(talk.threadId, [...ids, 'call_of_nobody']), false)
    t.equal(await talk.agent.haveResults(talk.threadId, []), true)
  })
}
