import { Client } from '@langchain/langgraph-sdk'
import { measureTurns, readLoad } from './measure.ts'

// The clients of a LangGraph server, in a process of their own, as somebody who writes a bot against it has them: a thread a person, a run a message.
const [url = '', ...load] = process.argv.slice(2)
const client = new Client({ apiUrl: url, apiKey: null, callerOptions: { maxRetries: 0, maxConcurrency: Infinity } })
const threads = new Map<string, Promise<string>>()

async function makeThread (): Promise<string> {
  return (await client.threads.create()).thread_id
}

async function turn (person: string): Promise<void> {
  const thread = threads.get(person) ?? makeThread()
  threads.set(person, thread)
  const state = await client.runs.wait(await thread, 'echo', { input: { messages: [{ type: 'human', content: 'Hello' }] }, multitaskStrategy: 'reject' })
  if (!JSON.stringify(state).includes('You said: Hello')) throw new Error('The server gave no answer')
}

await measureTurns({ clients: 10, turnsPerClient: 2, turnsPerPerson: 10 }, turn)
process.stdout.write(JSON.stringify(await measureTurns(readLoad(load), turn)))
