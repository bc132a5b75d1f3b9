import { once } from 'node:events'
import t from 'tap'
import { testAgent } from '../contract/agent.ts'
import { ExampleAgent } from '../fixtures/example-agents.ts'
import { EXAMPLES } from '../fixtures/example-scripts.ts'
import { hangs } from '../fixtures/obedient-model.ts'

// With a key the examples would ask a real model.
delete process.env.OPENAI_API_KEY

for (const { name, script, sabotage } of EXAMPLES) {
  t.test(`the example ${name} keeps every promise that it can`, async t => {
    const example = await ExampleAgent.load(name, sabotage)
    testAgent(t, async t => ({
      script,
      hanging: async () => { await once(hangs, 'hang') },
      lacks: { pieces: 'nothing in this agent writes word by word' },
      open: example.start(t)
    }))
  })
}
