import { setTimeout as sleep } from 'node:timers/promises'
import type { LangGraphServer } from './server.ts'

const POLL_MS = 100

/** How long a run that was asked to end may take to do so; one that the server lost never does. */
const END_MS = 3000

/** How long a server may take to begin a run whose caller has gone. */
const LATE_MS = 2000

/** How long the server may take to say that it did. */
const SETTLE_MS = 1000

/**
 * Ends whatever runs on a thread, so that it can be changed: a run whose turn is over, one that a crash of this service left, one that a crash of the
 * server left as running although nothing runs. Resolves to whether there was any.
 *
 * *Promise.* The results of tools stay, also those of a run that has to be deleted.
 *
 * *Not promised.* That a step which ignores that it was cancelled does nothing more.
 */
export async function endRuns (server: LangGraphServer, threadId: string): Promise<boolean> {
  let runs = await server.listActiveRuns(threadId)
  const hasRun = runs.length > 0
  await Promise.all(runs.map(run => server.cancelRun(threadId, run, END_MS)))
  if (runs.length > 0) runs = await waitForRuns(server, threadId, SETTLE_MS)
  if (runs.length > 0) {
    server.log.warn({ runs }, 'A run of the LangGraph server does not end, as after a crash of the server; it is deleted')
    await deleteRuns(server, threadId, runs)
  }
  return hasRun
}

/** The same for a run that the server was asked for and has not reported: it may begin only now. */
export async function endLateRuns (server: LangGraphServer, threadId: string): Promise<void> {
  for (let waitedMs = 0; !await endRuns(server, threadId) && waitedMs < LATE_MS; waitedMs += POLL_MS) await sleep(POLL_MS)
}

/** The runs of a thread that have not ended by then. */
export async function waitForRuns (server: LangGraphServer, threadId: string, patienceMs: number): Promise<string[]> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const runs = await server.listActiveRuns(threadId)
    if (runs.length === 0 || waitedMs >= patienceMs) return runs
    await sleep(POLL_MS)
  }
}

/** The server takes what a run wrote along with it: what tools did is written anew. */
async function deleteRuns (server: LangGraphServer, threadId: string, runs: readonly string[]): Promise<void> {
  const before = (await server.readState(threadId))?.remote ?? []
  for (const run of runs) await server.deleteRun(threadId, run)
  const kept = new Set((await server.readState(threadId))?.messages.map(message => message.id))
  const lost = before.filter(({ message }) => message.type !== 'human' && !kept.has(message.id))
  if (lost.some(({ message }) => message.type === 'tool')) {
    await server.updateState(threadId, { values: { messages: lost.map(({ wire }) => wire) }, asNode: '__start__' })
    await server.updateState(threadId, { values: null, asNode: '__end__' })
  }
}
