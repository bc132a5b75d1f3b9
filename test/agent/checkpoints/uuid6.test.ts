import { uuid6 } from '@langchain/langgraph-checkpoint'
import t from 'tap'
import { parseUuid6Time } from '../../../src/agent/checkpoints/uuid6.ts'

t.test('the time in a checkpoint\'s id is read to the millisecond', async t => {
  // RFC 9562, appendix A.5: 2022-02-22T19:22:22.000Z
  t.equal(parseUuid6Time('1EC9414C-232A-6B00-B3C8-9F6BDECED846'), Date.UTC(2022, 1, 22, 19, 22, 22))
  t.ok(Math.abs(parseUuid6Time(uuid6(0)) - Date.now()) < 1000)
})

t.test('a text that is no such id has no time', async t => {
  for (const text of ['', 'checkpoint 1', '1EC9414C-232A-6B00-B3C8', '1EC9414C-232A-6B00-B3C8-9F6BDECED84Z']) t.equal(parseUuid6Time(text), 0)
})
