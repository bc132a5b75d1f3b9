import t from 'tap'
import { RemoteAgent } from '../../../src/agent/remote/remote-agent.ts'
import { LangGraphServer } from '../../../src/agent/remote/server.ts'
import { testAgentFailures } from '../../contract/agent-failures.ts'
import { testAgentQuestions } from '../../contract/agent-questions.ts'
import type { AgentScript, MakeAgent } from '../../contract/agent-script.ts'
import { testAgent } from '../../contract/agent.ts'
import { EXAMPLES } from '../../fixtures/example-scripts.ts'
import { LangGraphProcess } from '../../fixtures/langgraph-server.ts'
import { SCRIPT } from '../../fixtures/obedient-model.ts'

const log = { info () {}, warn () {}, error () {} }

t.test('an agent on a LangGraph server', async t => {
  // One server for all tests, which is what it is made for: each has threads of its own.
  const server = await LangGraphProcess.start(t)
  const serve = (assistantId: string, script: AgentScript = SCRIPT): MakeAgent => async () => ({
    script,
    hanging: () => server.hanging(),
    lacks: { toolSchemas: 'a server tells no schemas of tools' },
    open: async () => new RemoteAgent(LangGraphServer.at({ url: server.url, assistantId, log }))
  })
  t.test('keeps every promise', async t => { testAgent(t, serve('agent')) })
  t.test('keeps those about failures where a tool that fails ends the run', async t => { testAgentFailures(t, serve('strict')) })
  for (const { name, script } of EXAMPLES) {
    // Pizza asks as the others here do.
    if (name !== 'pizza') t.test(`keeps those about questions where no tool is asked about: ${name}`, async t => { testAgentQuestions(t, serve(name, script)) })
  }
})
