import { HumanMessage } from '@langchain/core/messages'
import { Command, MemorySaver } from '@langchain/langgraph'
import Database from 'better-sqlite3'
import t from 'tap'
import { createAssistant } from '../../src/agent/assistant.ts'
import { ItemStore } from '../../src/agent/item-store.ts'
import { readMessages } from '../../src/agent/messages.ts'
import { OfflineModel } from '../../src/agent/offline-model.ts'

t.test('a guarded tool does not run in a run that does not carry the approval of this very call', async t => {
  const notes = new ItemStore(new Database(':memory:'))
  const log = { info () {}, warn () {}, error () {} }
  const { graph } = createAssistant({ model: new OfflineModel(), checkpointer: new MemorySaver(), notes, log })
  const ask = async (threadId: string, approved: string[]) => {
    const options = { configurable: { thread_id: threadId }, context: { platform: 'api', userId: 'ann', approved, rejected: {} } }
    await graph.invoke({ messages: [new HumanMessage('note: milk')] }, options)
    const { tasks } = await graph.getState(options)
    const id = tasks[0]?.interrupts[0]?.id ?? ''
    // What LangChain's middleware takes for a yes.
    return readMessages(await graph.invoke(new Command({ resume: { [id]: { decisions: [{ type: 'approve' }] } } }), options)).at(-2)?.text
  }
  t.equal(await ask('none', []), 'The person has not approved this call.')
  t.equal(await ask('another', ['call_of_another_question']), 'The person has not approved this call.')
  t.same(await notes.search(['notes']), [])
})
