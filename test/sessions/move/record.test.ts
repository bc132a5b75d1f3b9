import t from 'tap'
import { parseExtra } from '../../../src/sessions/move/record.ts'

t.test('unknown columns are read in their order, whatever they are called, and whatever somebody wrote there by hand', async t => {
  t.same(parseExtra('{}'), [])
  t.same(parseExtra('{ }'), [])
  t.same(parseExtra('{"b":"1","7":"2","a \\"{:,": "}:"}'), [['b', '1'], ['7', '2'], ['a "{:,', '}:']])
  t.same(parseExtra('{"a":1,"b":"x"}'), [['a', '1'], ['b', 'x']])
  t.same(parseExtra('{"a":{"b":"c"}}'), [['a', '{"b":"c"}']])
  t.same(parseExtra('{"a":["b"],"c":null,"d":true}'), [['a', '["b"]'], ['c', 'null'], ['d', 'true']])
})
