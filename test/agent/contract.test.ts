import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createAssistant } from '../../src/agent/assistant.ts'
import { ConversationFile } from '../../src/agent/checkpointer.ts'
import { LangGraphAgent } from '../../src/agent/langgraph.ts'
import { describeAssistantRun } from '../../src/agent/run-context.ts'
import type { AgentUnderTest } from '../contract/agent-script.ts'
import { testAgent } from '../contract/agent.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { hang, hangs, SCRIPT, ObedientModel } from '../fixtures/obedient-model.ts'

const log = { info () {}, warn () {}, error () {} }

/** The built-in agent on an obedient model. */
async function makeBuiltIn (t: Test): Promise<AgentUnderTest> {
  const file = await ConversationFile.open({ path: join(makeFolder(t), 'conversations.sqlite') })
  t.after(() => file.close())
  const { put } = file.notes
  file.notes.put = async (...args) => {
    if (args[2].text === 'hang') await hang()
    if (args[2].text === 'fail') throw new Error('disk full')
    await put.apply(file.notes, args)
  }
  return {
    script: SCRIPT,
    hanging: async () => { await once(hangs, 'hang') },
    lacks: {},
    open: async () => {
      const { graph, tools } = createAssistant({ model: new ObedientModel(), checkpointer: file.checkpointer, notes: file.notes, log })
      return new LangGraphAgent({ description: { kind: 'built-in', model: 'obedient' }, graph, tools, threads: file, log, describeRun: describeAssistantRun })
    }
  }
}

testAgent(t, makeBuiltIn)
