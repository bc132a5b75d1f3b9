import t from 'tap'
import type { Decision } from '../src/agent/agent.ts'
import { parseDecisionWords } from '../src/decision-words.ts'

const approve: Decision = { type: 'approve' }
const reject: Decision = { type: 'reject' }
const because = (message: string): Decision => ({ type: 'reject', message })

t.test('a word that is a decision as a whole decides, in any case, closing punctuation ignored', async t => {
  for (const text of ['yes', 'Y', 'OK', 'approve', 'Approved', '/approve', ' yes! ', 'Yes.', 'ok…', 'YES!!', 'approve all']) {
    t.same(parseDecisionWords(text, 1), [approve], text)
  }
  for (const text of ['no', 'N', 'reject', 'Rejected', '/reject', 'No.', 'NO!', 'reject all', '/reject ']) t.same(parseDecisionWords(text, 1), [reject], text)
})

t.test('a reason is handed on as it was written', async t => {
  t.same(parseDecisionWords('/reject Not today, maybe!', 1), [because('Not today, maybe!')])
  t.same(parseDecisionWords('Reject: wrong date', 1), [because('wrong date')])
  t.same(parseDecisionWords('reject: line one\nline two', 1), [because('line one\nline two')])
  t.same(parseDecisionWords('reject all: later', 2), [because('later'), because('later')])
})

t.test('any other text is no decision', async t => {
  for (const text of [
    'No problem, go on', 'yes please', 'yesterday', 'ok?', 'nope', 'not ok', 'approve it', 'reject it', '', '!', 'yes no', 'I said yes', '/rejected', 'yes\nno'
  ]) t.equal(parseDecisionWords(text, 1), undefined, text)
})

t.test('several actions are decided together or each by its number', async t => {
  t.same(parseDecisionWords('yes', 2), [approve, approve])
  t.same(parseDecisionWords('reject all', 3), [reject, reject, reject])
  t.same(parseDecisionWords('approve 1, reject 2: wrong date', 2), [approve, because('wrong date')])
  t.same(parseDecisionWords('reject 2: late, and long; approve 1', 2), [approve, because('late, and long')])
  t.same(parseDecisionWords('Approve 1 and 3, reject 2.', 3), [approve, reject, approve])
  t.same(parseDecisionWords('approve 2 and reject 1', 2), [reject, approve])
  t.same(parseDecisionWords('reject 1\napprove 2', 2), [reject, approve])
  t.same(parseDecisionWords('approve 1', 1), [approve])
})

t.test('no text takes more time than its length explains', async t => {
  const fillers = [' ', '.', '\n', ',', 'a\n', 'a ', 'reject ', 'approve 1, ', 'approve 1 ', '1,', '1', 'and ', ': ', 'approve\t']
  for (const filler of fillers) {
    const run = filler.repeat(32_000 / filler.length)
    for (const text of [`${run}b`, `reject${run}b`, `approve 1${run}b`, `yes${run}b`, `approve 1, reject 2: x${run}`]) {
      const before = performance.now()
      parseDecisionWords(text, 2)
      // A quadratic reading of 32 000 characters takes seconds, a cubic one hours.
      t.ok(performance.now() - before < 1000, JSON.stringify(text.slice(0, 30)))
    }
  }
})

t.test('half a decision, or a doubtful one, is none', async t => {
  for (const text of ['approve 1', 'approve 1, approve 1', 'approve 1, reject 3', 'approve 0, reject 1', 'approve 1: why, reject 2', 'approve 1, reject', '/reject 2', 'approve 1, please reject 2']) {
    t.equal(parseDecisionWords(text, 2), undefined, text)
  }
})
