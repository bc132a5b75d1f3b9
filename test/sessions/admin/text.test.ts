import fc from 'fast-check'
import t from 'tap'
import { count, escapeControls, formatDuration, formatJson, formatTable, measureWidth } from '../../../src/sessions/admin/text.ts'

// eslint-disable-next-line no-control-regex -- these are what it is about
const DANGEROUS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

t.test('no text moves the cursor, whatever it holds', async t => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => !DANGEROUS.test(escapeControls(text))))
  t.equal(escapeControls('a\u001b]0;b\u0007\nc\u202ed\ud800'), 'a\\u001b]0;b\\u0007\\u000ac\\u202ed\\ud800')
  t.equal(escapeControls('Zoë 👩‍👩‍👧 王'), 'Zoë 👩‍👩‍👧 王')
})

t.test('JSON means the same and is as safe', async t => {
  fc.assert(fc.property(fc.jsonValue(), value => {
    const text = formatJson(value, 2)
    t.same(JSON.parse(text), JSON.parse(JSON.stringify(value)))
    return !DANGEROUS.test(text.replaceAll('\n', ''))
  }))
})

t.test('a wide character takes two columns, a mark none, a family of emoji two', async t => {
  for (const [text, width] of [['abc', 3], ['王小明', 6], ['é', 1], ['e\u0301', 1], ['🙂', 2], ['👩‍👩‍👧', 2], ['ｱ', 1], ['Ａ', 2], ['한글', 4]] as const) {
    t.equal(measureWidth(text), width, text)
  }
})

t.test('columns are aligned; a cell that is too long pushes its own row alone', async t => {
  const long = 'x'.repeat(60)
  t.same([...formatTable([['a', '1'], [long, '2'], ['ccc', '3']])], [`a${' '.repeat(41)}1\n`, `${long}  2\n`, `ccc${' '.repeat(39)}3\n`])
})

t.test('a duration is one word', async t => {
  const S = 1000
  for (const [ms, text] of [[0, '0s'], [-5, '0s'], [59.9 * S, '59s'], [60 * S, '1m'], [3660 * S, '1h01m'], [86_400 * S, '1d0h'], [100 * 3600 * S, '4d4h']] as const) {
    t.equal(formatDuration(ms), text)
  }
})

t.test('one is told from many', async t => {
  t.same([count(0, 'row'), count(1, 'row'), count(2, 'entry', 'entries')], ['0 rows', '1 row', '2 entries'])
})
