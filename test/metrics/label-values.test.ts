import t from 'tap'
import { LabelValues } from '../../src/metrics/label-values.ts'

t.test('whatever clients send, a label takes a bounded number of values, and each keeps its name', async t => {
  const values = new LabelValues(3, ['api'])
  t.same(['web', 'api', 'bot', 'more', 'web', 'again'].map(value => values.take(value)), ['web', 'api', 'bot', 'other', 'web', 'other'])
  t.same(values.list(), ['api', 'web', 'bot'])
  for (let index = 0; index < 1000; index++) t.equal(values.take(`junk-${index}`), 'other')
})

t.test('a value of any length is no label', async t => {
  t.equal(new LabelValues(3).take('x'.repeat(101)), 'other')
})
