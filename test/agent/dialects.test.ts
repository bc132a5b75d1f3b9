import t from 'tap'
import type { Decision } from '../../src/agent/agent.ts'
import { checkDecisions, formatResume, parseResume, readQuestion } from '../../src/agent/approvals.ts'

/** A question about one interrupt of this value. */
function ask (value: unknown, toolCalls: { id: string, name: string, args: Record<string, unknown> }[] = []) {
  const question = readQuestion({ interrupts: [{ id: 'i', value, node: 'step' }], toolCalls, text: '', messageCount: 3 })
  if (question === undefined) throw new Error('No question')
  return question
}

const approve: Decision = { type: 'approve' }
const edit: Decision = { type: 'edit', args: { to: 'bob' } }
const reject: Decision = { type: 'reject', message: 'no' }
const respond: Decision = { type: 'respond', message: 'later' }

t.test('LangChain, as JavaScript and as Python spell it', async t => {
  const args = { to: 'ann' }
  const javascript = ask({
    actionRequests: [{ name: 'send', args, description: 'Send it' }, { name: 'send', args }],
    reviewConfigs: [{ actionName: 'send', allowedDecisions: ['approve', 'edit', 'reject'] }]
  }, [{ id: 'c1', name: 'send', args }, { id: 'c2', name: 'send', args }])
  t.match(javascript.actions, [
    { toolName: 'send', toolCallId: 'c1', description: 'Send it', allowedDecisions: ['approve', 'edit', 'reject'] },
    { toolName: 'send', toolCallId: 'c2', description: 'Run send with {"to":"ann"}' }
  ])
  t.same(formatResume(javascript, [edit, reject]), [{ decisions: [{ type: 'edit', editedAction: { name: 'send', args: { to: 'bob' } } }, { type: 'reject', message: 'no' }] }])
  t.same(parseResume(javascript, { decisions: [{ type: 'approve' }, { type: 'edit', editedAction: { name: 'send', args: {} } }] }), [approve, { type: 'edit', args: {} }])
  t.throws(() => parseResume(javascript, { decisions: [{ type: 'edit', edited_action: { name: 'send', args: {} } }] }), { code: 'DECISION_REFUSED' })
  t.throws(() => parseResume(javascript, 'yes'), { code: 'DECISION_REFUSED' })

  const python = ask({
    action_requests: [{ name: 'send', args }],
    review_configs: [{ action_name: 'send', allowed_decisions: ['approve', 'edit', 'reject', 'respond', 'unknown'], args_schema: { type: 'object', properties: { to: { type: 'string' } } } }]
  })
  t.match(python.actions, [{ toolName: 'send', toolCallId: '', allowedDecisions: ['approve', 'edit', 'reject', 'respond'] }])
  t.same(formatResume(python, [edit]), [{ decisions: [{ type: 'edit', edited_action: { name: 'send', args: { to: 'bob' } } }] }])
  t.same(formatResume(python, [respond]), [{ decisions: [{ type: 'respond', message: 'later' }] }])
  t.throws(() => parseResume(python, { decisions: [{ type: 'edit', edited_action: { name: 'wipe', args: {} } }] }), { message: /Action 1 is a call of send, received wipe/ })
  t.throws(() => { checkDecisions(python, [{ type: 'edit', args: { to: 1 } }], []) }, { message: /arguments of send do not fit: to/ })
  t.doesNotThrow(() => { checkDecisions(python, [edit], []) })
})

t.test('Agent Inbox', async t => {
  const request = { action_request: { action: 'send', args: { to: 'ann' } }, config: { allow_accept: true, allow_edit: true, allow_respond: true, allow_ignore: true }, description: 'Send it' }
  const question = ask([request])
  t.match(question.actions, [{ toolName: 'send', description: 'Send it', allowedDecisions: ['approve', 'edit', 'reject', 'respond'] }])
  t.match(ask(request).actions, question.actions, 'also a single one')
  t.same(formatResume(question, [approve]), [[{ type: 'accept', args: null }]])
  t.same(formatResume(question, [edit]), [[{ type: 'edit', args: { action: 'send', args: { to: 'bob' } } }]])
  t.same(formatResume(question, [respond]), [[{ type: 'response', args: 'later' }]])
  t.same(formatResume(question, [reject]), [[{ type: 'ignore', args: 'no' }]])
  t.same(parseResume(question, [{ type: 'accept', args: null }]), [approve])
  t.same(parseResume(question, [{ type: 'edit', args: { action: 'send', args: {} } }]), [{ type: 'edit', args: {} }])
  t.throws(() => parseResume(question, [{ type: 'edit', args: { action: 'wipe', args: {} } }]), { code: 'DECISION_REFUSED' })
  t.throws(() => { checkDecisions(ask([{ ...request, config: { allow_accept: true } }]), [reject], []) }, { message: /allows approve, received reject/ })
})

t.test('plain interrupts', async t => {
  const text = ask('Go on?')
  t.match(text.actions, [{ toolName: 'step', args: {}, description: 'Go on?', allowedDecisions: ['approve', 'reject', 'respond'] }])
  t.same([approve, reject, respond].map(decision => formatResume(text, [decision])), [['yes'], ['no'], ['later']])

  const request = ask({ type: 'approval_request', tool_name: 'send', tool_call_id: 'c1', args: { to: 'ann' }, description: 'Send it' })
  t.match(request.actions, [{ toolName: 'send', toolCallId: 'c1', args: { to: 'ann' }, description: 'Send it', allowedDecisions: ['approve', 'reject'] }])
  t.same(formatResume(request, [approve]), ['yes'])

  for (const [value, description] of [
    [{ question: 'Sure?' }, 'Sure?'], [{ message: 'Well?' }, 'Well?'], [{ description: '', question: 'Q' }, 'Q'], [{ a: 1 }, '{"a":1}'], [[1], '[1]'], [42, '42'], [null, 'null']
  ] as const) {
    t.match(ask(value).actions, [{ description, allowedDecisions: ['approve', 'reject'] }])
  }
  t.same(parseResume(text, { any: [1] }), [{ type: 'resume', value: { any: [1] } }], 'any value is handed on')
  t.throws(() => parseResume(text, null), { code: 'DECISION_REFUSED', message: /must not be null/ })
  t.throws(() => { checkDecisions(text, [{ type: 'resume', value: { deep: { lc: 1 } } }], []) }, { message: /reserved/ })
})

t.test('a question is told from an equal one by its calls, or by the length of its thread', async t => {
  const value = 'Go on?'
  const at = (messageCount: number) => readQuestion({ interrupts: [{ id: String(messageCount), value, node: 'step' }], toolCalls: [], text: '', messageCount })?.fingerprint
  t.equal(at(3), at(3))
  t.not(at(3), at(5))
  const other = readQuestion({ interrupts: [{ id: 'x', value, node: 'step' }], toolCalls: [], text: '', messageCount: 3 })
  t.equal(other?.fingerprint, at(3), 'not by the id of its interrupt, which changes when it is asked again')
})
