import t from 'tap'
import type { Action, Decision, Question } from '../../../src/agent/agent.ts'
import { formatCommand } from '../../../src/agent/remote/mixed-decisions.ts'
import { readRemoteMessages } from '../../../src/agent/remote/wire-messages.ts'

const calls = ['a', 'b', 'c'].map(id => ({ id, name: 'save', args: { text: id }, type: 'tool_call' }))
const message = {
  type: 'ai',
  id: 'ai-1',
  content: [{ type: 'text', text: 'I will' }, ...calls.map(({ id, name, args }) => ({ type: 'tool_use', id, name, input: args }))],
  tool_calls: calls,
  additional_kwargs: { tool_calls: calls, other: 1 },
  usage_metadata: { input_tokens: 1, output_tokens: 1, total_tokens: 2 }
}
const [asked] = readRemoteMessages({ messages: [message] }) ?? []
const interrupts = [{ id: 'i-1', value: {}, node: 'HumanInTheLoopMiddleware.after_model' }]

function ask (ids: readonly string[], dialect: Action['dialect'] = 'langchain'): Question {
  const actions = ids.map((toolCallId): Action => ({
    toolName: 'save', toolCallId, args: { text: toolCallId }, description: '', allowedDecisions: ['approve', 'edit', 'reject'], dialect, interrupt: 0
  }))
  return { fingerprint: 'f', actions, text: '' }
}

const yes: Decision = { type: 'approve' }
const no: Decision = { type: 'reject', message: 'not that' }

t.test('decisions of one kind resume the interrupt by its id, and the message stays as it is', async t => {
  t.same(formatCommand(ask(['a', 'b', 'c']), [yes, yes, yes], { interrupts, asked }), { resume: { 'i-1': { decisions: [yes, yes, yes] } } })
  t.same(formatCommand(ask(['a', 'b', 'c']), [no, no, no], { interrupts, asked }), { resume: { 'i-1': { decisions: [no, no, no] } } })
})

t.test('a server that gives interrupts no ids is given the bare value', async t => {
  t.same(formatCommand(ask(['a', 'b', 'c']), [yes, yes, yes], { interrupts: [{ id: '', value: {}, node: 'x' }], asked }), { resume: { decisions: [yes, yes, yes] } })
})

t.test('a mixed decision splits the message, and what was rejected is never told as approved', async t => {
  const { resume, update } = formatCommand(ask(['a', 'b', 'c']), [yes, no, { type: 'edit', args: { text: 'x' } }], { interrupts, asked })
  t.same(resume, { 'i-1': { decisions: [yes, { type: 'edit', editedAction: { name: 'save', args: { text: 'x' } } }] } })
  const { messages } = update ?? {}
  if (!Array.isArray(messages)) throw new Error('There are no messages')
  const [refused, result, rest, ...more] = messages
  t.same(more, [])
  t.match(refused, { id: 'ai-1', tool_calls: [{ id: 'b' }], content: [{ type: 'text', text: 'I will' }, { id: 'b' }], additional_kwargs: { other: 1 } })
  t.equal(refused.content.length, 2)
  t.notOk('tool_calls' in refused.additional_kwargs, 'providers would read their own field first')
  t.match(result, { type: 'tool', tool_call_id: 'b', content: 'not that', status: 'error' })
  t.match(rest, { type: 'ai', tool_calls: [{ id: 'a' }, { id: 'c' }], content: [{ id: 'a' }, { id: 'c' }], usage_metadata: undefined })
  t.not(rest.id, 'ai-1')
})

t.test('a rejection beside a call that nobody is asked about lets that one run', async t => {
  const { resume, update } = formatCommand(ask(['b']), [no], { interrupts, asked })
  t.same(resume, { 'i-1': { decisions: [] } })
  t.match(update, { messages: [{ tool_calls: [{ id: 'b' }] }, { tool_call_id: 'b' }, { tool_calls: [{ id: 'a' }, { id: 'c' }] }] })
})

t.test('Python needs no help with a mixed decision', async t => {
  t.same(formatCommand(ask(['a', 'b', 'c'], 'langchain_python'), [yes, no, yes], { interrupts, asked }), { resume: { 'i-1': { decisions: [yes, no, yes] } } })
})
