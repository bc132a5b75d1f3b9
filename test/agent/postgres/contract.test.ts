import { once } from 'node:events'
import t from 'tap'
import { createAssistant } from '../../../src/agent/assistant.ts'
import { LangGraphAgent } from '../../../src/agent/langgraph.ts'
import { describeAssistantRun } from '../../../src/agent/run-context.ts'
import type { AgentUnderTest } from '../../contract/agent-script.ts'
import { testAgent } from '../../contract/agent.ts'
import { hang, hangs, SCRIPT, ObedientModel } from '../../fixtures/obedient-model.ts'
import { PostgresBench } from '../../fixtures/postgres-conversations.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'

const bench = await PostgresBench.open(t, await PostgresServer.start(t))
const { conversations, log } = bench
const { notes, checkpointer } = conversations
const { put } = notes
notes.put = async (...args) => {
  if (args[2].text === 'hang') await hang()
  if (args[2].text === 'fail') throw new Error('disk full')
  await put.apply(notes, args)
}

/** The built-in agent on an obedient model, in tables that are empty. */
async function makeBuiltIn (): Promise<AgentUnderTest> {
  await bench.clear()
  return {
    script: SCRIPT,
    hanging: async () => { await once(hangs, 'hang') },
    lacks: {},
    open: async () => {
      const { graph, tools } = createAssistant({ model: new ObedientModel(), checkpointer, notes, log })
      return new LangGraphAgent({ description: { kind: 'built-in', model: 'obedient' }, graph, tools, threads: conversations, log, describeRun: describeAssistantRun })
    }
  }
}

testAgent(t, makeBuiltIn)
t.end()
