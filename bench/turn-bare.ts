import { join } from 'node:path'
import { HumanMessage } from '@langchain/core/messages'
import { createAssistant } from '../src/agent/assistant.ts'
import { ConversationFile } from '../src/agent/checkpointer.ts'
import { OfflineModel } from '../src/agent/offline-model.ts'
import { measureTurns, readLoad } from './measure.ts'

// The bare limit: the same graph on the same checkpointer with the same durability, and nothing around it.
const [dir = '.', ...load] = process.argv.slice(2)
const file = await ConversationFile.open({ path: join(dir, 'conversations.sqlite') })
const log = { info () {}, warn () {}, error () {} }
const { graph } = createAssistant({ model: new OfflineModel(), checkpointer: file.checkpointer, notes: file.notes, log })

async function turn (person: string): Promise<void> {
  const context = { platform: 'api', userId: person, approved: [] }
  await graph.invoke({ messages: [new HumanMessage('Hello')] }, { configurable: { thread_id: person }, context, durability: 'exit' })
}

await measureTurns({ clients: 10, turnsPerClient: 20, turnsPerPerson: 10 }, turn)
process.stdout.write(JSON.stringify(await measureTurns(readLoad(load), turn)))
file.close()
