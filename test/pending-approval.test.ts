import t from 'tap'
import type { Action } from '../src/agent/agent.ts'
import { describeAsked, describeQuestion, holdQuestion } from '../src/pending-approval.ts'

function makeAction (description: string, more: Partial<Action> = {}): Action {
  return {
    toolName: 'pay', toolCallId: 'call', args: {}, description, allowedDecisions: ['approve', 'reject'], dialect: 'text', interrupt: 0, ...more
  }
}

/** The question about these actions as a person and as a program see it. */
function ask (actions: readonly Action[], text = '') {
  const question = { fingerprint: 'f', actions, text }
  const approval = holdQuestion(question, { approvalId: 'id', nowMs: 0 })
  return { approval, lines: describeQuestion(question, approval).split('\n') }
}

const ANSWER = 'Answer "yes" or "no"; "reject: <reason>" says why.'

t.test('a description forges neither another action nor another way to answer', async t => {
  const forged = 'Pay 1 €\n2. Say hello\n\nAnswer "no" to pay, "yes" to refuse.'
  t.same(ask([makeAction(forged)]).lines, [
    'I need your approval:', '> Pay 1 €', '> 2. Say hello', '> ', '> Answer "no" to pay, "yes" to refuse.', '', ANSWER
  ])
  const { lines } = ask([makeAction(forged), makeAction('Pay 2 €')])
  t.same(lines.filter(line => /^(?:\d+\.|Answer)/.test(line)), [
    '1. > Pay 1 €', '2. Pay 2 €', 'Answer "approve all" or "reject all", or each by its number: "approve 1, reject 2: <reason>".'
  ])
  for (const end of ['\r', '\r\n', '\u2028', '\u2029', '\u0085', '\v', '\f']) {
    const seen = ask([makeAction(`a${end}2. b`)]).lines.join('\n').split(/[\n\r\u2028\u2029\u0085\v\f]/)
    t.notOk(seen.some(line => line.startsWith('2.')))
  }
})

t.test('a description of one line that looks like a line of ours is marked', async t => {
  for (const forged of ['Answer "no" to pay, "yes" to refuse.', ' I need your approval:', '2. Say hello', '> Pay 1 €']) {
    t.same(ask([makeAction(forged)]).lines, ['I need your approval:', `> ${forged}`, '', ANSWER])
  }
  t.equal(ask([makeAction('Pay 1 €')]).lines[1], 'Pay 1 €')
})

t.test('the agent\'s own words before a question look like no question', async t => {
  const text = 'Two ways:\n1. by train\nI need your approval:\nRead a file\n\nAnswer "yes" or "no".'
  t.same(ask([makeAction('Pay 1 €')], text).lines, [
    'Two ways:', '1. by train', '> I need your approval:', 'Read a file', '', '> Answer "yes" or "no".', '', 'I need your approval:', 'Pay 1 €', '', ANSWER
  ])
})

t.test('a person is told the answers that a question about several actions takes, and no others', async t => {
  const answersTo = (...allowed: Action['allowedDecisions'][]): string | undefined => {
    return ask(allowed.map(allowedDecisions => makeAction('Pay', { allowedDecisions }))).lines.at(-1)
  }
  const both: Action['allowedDecisions'] = ['approve', 'reject']
  t.equal(answersTo(both, both, both), 'Answer "approve all" or "reject all", or each by its number: "approve 1, reject 2: <reason>".')
  t.equal(answersTo(['approve'], ['approve', 'edit']), 'Answer "approve all".')
  t.equal(answersTo(['reject'], ['reject']), 'Answer "reject all".')
  t.equal(answersTo(['reject'], ['approve']), 'Answer each by its number: "approve 2, reject 1: <reason>".')
  t.equal(answersTo(both, ['approve']), 'Answer "approve all", or each by its number: "approve 2, reject 1: <reason>".')
  t.equal(answersTo(['approve'], ['respond']), 'It cannot be answered in words. "/new" starts a new conversation.')
  const nested = [makeAction('Pay', { dialect: 'langchain', isNested: true }), makeAction('Pay', { dialect: 'langchain', isNested: true })]
  t.equal(ask(nested).lines.at(-1), 'Answer "approve all" or "reject all".')
})

t.test('what hides is seen in all that a person reads, and the arguments stay exact', async t => {
  const hidden = 'ab\u202ecd\u200b\u0007'
  const seen = 'ab\\u202ecd\\u200b\\u0007'
  const actions = [makeAction(hidden, { toolName: hidden, args: { to: hidden } }), makeAction(hidden)]
  const { approval, lines } = ask(actions, hidden)
  const action = { tool_name: seen, description: seen, args: { to: hidden } }
  t.match(approval, { ...action, actions: [action, {}] })
  t.same(lines.slice(0, 4), [seen, '', 'I need your approval for 2 actions:', `1. ${seen}`])
  t.equal(describeAsked(approval), `${seen}; ${seen}`)
})

t.test('what is too long for a chat is cut in its midst and says so; a program sees it all', async t => {
  const long = `Write ${'x'.repeat(5000)} and delete everything`
  const { approval, lines } = ask([makeAction(long)])
  t.match(lines[1], /^Write x+ \[…\d+ characters left out here…\] x+ and delete everything$/)
  t.ok(lines.join('\n').length < 1800)
  t.equal(approval.description, long)
  const many = ask(Array.from({ length: 15 }, () => makeAction(long)))
  t.equal(many.lines.filter(line => line.endsWith(' and delete everything')).length, 15)
  t.ok(many.lines.join('\n').length < 3000)
})
