import { once } from 'node:events'
import t, { type Test } from 'tap'
import { createAssistant } from '../../../src/agent/assistant.ts'
import { LangGraphAgent } from '../../../src/agent/langgraph.ts'
import { openRedisConversations } from '../../../src/agent/redis/open.ts'
import { describeAssistantRun } from '../../../src/agent/run-context.ts'
import type { AgentUnderTest } from '../../contract/agent-script.ts'
import { testAgent } from '../../contract/agent.ts'
import { hang, hangs, SCRIPT, ObedientModel } from '../../fixtures/obedient-model.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { connectRedis } from '../../fixtures/redis-conversations.ts'

const log = { info () {}, warn () {}, error () {} }

t.test('the built-in agent, on an obedient model, with its conversations in Redis', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)

  async function makeBuiltIn (t: Test): Promise<AgentUnderTest> {
    const connection = await connectRedis(t, server)
    await connection.client.flushdb()
    const threads = await openRedisConversations({ connection, now: connection.clock.now })
    const { put } = threads.notes
    threads.notes.put = async (...args) => {
      if (args[2].text === 'hang') await hang()
      if (args[2].text === 'fail') throw new Error('disk full')
      await put.apply(threads.notes, args)
    }
    return {
      script: SCRIPT,
      hanging: async () => { await once(hangs, 'hang') },
      lacks: {},
      open: async () => {
        const { graph, tools } = createAssistant({ model: new ObedientModel(), checkpointer: threads.checkpointer, notes: threads.notes, log })
        return new LangGraphAgent({ description: { kind: 'built-in', model: 'obedient' }, graph, tools, threads, log, describeRun: describeAssistantRun })
      }
    }
  }

  testAgent(t, makeBuiltIn)
})
