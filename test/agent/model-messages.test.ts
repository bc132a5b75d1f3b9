import t from 'tap'
import { AgentBench } from '../fixtures/agent.ts'

t.test('a message of the agent has one id, from the turn that it is said in on', async t => {
  const bench = await AgentBench.open(t)
  await bench.turn('hello')
  const ids = (await bench.agent.history('thread')).map(message => message.id)
  t.ok(ids.every(id => id !== ''))
  await bench.turn('again')
  t.same((await bench.agent.history('thread')).map(message => message.id).slice(0, ids.length), ids)
})
