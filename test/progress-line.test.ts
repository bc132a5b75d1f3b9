import t from 'tap'
import { formatProgress, ProgressLine } from '../src/progress-line.ts'

t.test('it says how far it is: with a bar where the end is known', async t => {
  t.equal(formatProgress({ step: 'Moving sessions', done: 250, total: 1000 }, 2500), 'Moving sessions  [######------------------]  250 of 1000  25 %  2 s')
  t.equal(formatProgress({ step: 'Reading sessions', done: 7, total: undefined }, 0), 'Reading sessions  7  0 s')
  t.match(formatProgress({ step: 'Checking sessions', done: 0, total: 0 }, 0), '100 %')
})

t.test('it stays on one line, shows a new step at once, the same one not too often, and leaves nothing behind', async t => {
  const said: string[] = []
  const line = new ProgressLine({ write: text => said.push(text), columns: 20 })
  line.show({ step: 'Reading sessions', done: 1, total: undefined })
  line.show({ step: 'Reading sessions', done: 2, total: undefined })
  line.show({ step: 'Moving sessions', done: 1, total: 1000 })
  line.end()
  line.end()
  t.same(said, ['\r\u001b[KReading sessions  1', '\r\u001b[KMoving sessions  [-', '\r\u001b[K'])
})

t.test('a terminal that does not say how wide it is counts as one of eighty columns', async t => {
  for (const columns of [undefined, 0]) {
    const said: string[] = []
    new ProgressLine({ write: text => said.push(text), ...columns !== undefined && { columns } }).show({ step: 'Reading sessions', done: 1, total: undefined })
    t.same(said, ['\r\u001b[KReading sessions  1  0 s'])
  }
})
